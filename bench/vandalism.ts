// How long a random damage to rules, lists and sets lasts: node bench/vandalism.ts [--count 500] [--backend nft|legacy]
import { differences, readState } from "../test/kernel/kernel-state.ts";
import { vandalise } from "../test/kernel/vandalism.ts";
import { eventually } from "../test/support/eventually.ts";
import { type Backend, families } from "../test/support/kernel.ts";
import { seededRandom } from "../test/support/random.ts";
import { createScene } from "../test/support/scene.ts";
import { writeFigures } from "./figures.ts";
import { inWords, type Measurements, printTable, readArguments } from "./measurements.ts";

const [counted, scoped] = [9101, 9102];

/** Does one damage after another, each until the kernel holds again what it held. */
async function measure(backend: Backend, count: number): Promise<Measurements> {
  await using scene = await createScene({ backend, ports: [counted, scoped] });
  const { api, traffic, network } = scene;
  await api.putPolicy("counted", { ports: [counted], maxConnections: 1, ban: { seconds: 86_400 }, exempt: ["10.9.7.0/24"] });
  await api.putPolicy("scoped", { ports: [scoped], maxConnections: 1, ban: { seconds: 86_400, scope: "ports" } });
  for (const { source } of families) {
    for (const n of [1, 2, 3]) await api.putBan(source(n), n === 2 ? { ttlSeconds: 86_400 } : {});
    await traffic.exceed([source(4)], counted, 1);
    await traffic.exceed([source(5)], scoped, 1);
  }
  for (const address of ["10.9.60.0/24", "2001:db8:9:60::/64"]) await api.putBan(address, { ttlSeconds: 86_400 });
  await eventually("all are banned", async () => (await api.bans()).length === 12);
  const whole = await readState(network, backend);
  const isWhole = async (): Promise<boolean> => differences(whole, await readState(network, backend)).length === 0;

  const random = seededRandom(Date.now());
  const measured = new Map<string, number[]>([["all", []]]);
  for (let round = 0; round < count; round += 1) {
    const pause = Date.now() + random.integer(1_000);
    await eventually("a while has passed", () => Date.now() > pause, { every: 50 });
    const done = await vandalise({ network, backend, withoutIpset: false }, random);
    const begun = performance.now();
    await eventually(`it is put right: ${done}`, isWhole, { within: 20_000, every: 50 });
    const [kind = ""] = done.split(",");
    for (const row of ["all", kind]) measured.set(row, [...(measured.get(row) ?? []), performance.now() - begun]);
  }
  return measured;
}

const { count, backends } = readArguments(500);
const tables = await Promise.all(backends.map(async (backend) => [backend, await measure(backend, count)] as const));
for (const [backend, measurements] of tables) {
  printTable(`putting right of a damage, ${backend}`, measurements);
  writeFigures(`vandalism-${backend}`, [
    {
      promise: `A partial damage is put right within 3 s, on ${backend}`,
      test: `node bench/vandalism.ts --count ${count} --backend ${backend}`,
      figure: inWords(measurements.get("all") ?? []),
    },
  ]);
}
