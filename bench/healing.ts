// How long every ban is gone after another tool has flushed the firewall: node bench/healing.ts [--count 200] [--backend nft|legacy]
import { flushesOn } from "../test/kernel/flushes.ts";
import { eventually } from "../test/support/eventually.ts";
import { type Backend, families } from "../test/support/kernel.ts";
import { createScene } from "../test/support/scene.ts";
import { writeFigures } from "./figures.ts";
import { inWords, type Measurements, printTable, readArguments } from "./measurements.ts";

const [counted, other] = [9001, 9002];
const operatorBans = 40;

/** Measures from the start of the flush until all bans of every kind refuse again, in both families. */
async function measure(backend: Backend, count: number): Promise<Measurements> {
  await using scene = await createScene({ backend, ports: [counted, other] });
  const { api, traffic, network } = scene;
  await api.putPolicy("counted", { ports: [counted], maxConnections: 1, ban: { seconds: 86_400 } });
  const operators = families.flatMap(({ source }) => Array.from({ length: operatorBans }, (_, n) => source(100 + n)));
  const networks = ["10.9.60.0/24", "2001:db8:9:60::/64"];
  await api.batch({ put: [...operators, ...networks].map((address) => ({ address })) });
  const offenders = families.map(({ source }) => source(1));
  await traffic.exceed(offenders, counted, 1);
  await eventually("all are banned", async () => (await api.bans()).length === operators.length + networks.length + 2);
  const free = families.map(({ source }) => source(2));
  const sample = [...offenders, ...operators.slice(0, 2), ...operators.slice(-2), "10.9.60.9", "2001:db8:9:60::9"];

  const healed = async (): Promise<boolean> => {
    const outcomes = await traffic.knockAll([...sample, ...free], other);
    return outcomes.refused?.length === sample.length && outcomes.connected?.length === free.length;
  };
  const measured = new Map<string, number[]>();
  for (const { name, run } of flushesOn(backend)) {
    const times: number[] = [];
    for (let round = 0; round < count; round += 1) {
      await eventually("the last flush is over", healed);
      // Flushes are to meet the service at any point of its rounds.
      const pause = Date.now() + 100 + Math.random() * 200;
      await eventually("a while has passed", () => Date.now() > pause);
      const begun = performance.now();
      await run(network);
      await eventually("all bans are in force again", healed, { within: 20_000, every: 2 });
      times.push(performance.now() - begun);
    }
    measured.set(name, times);
  }
  return measured;
}

const { count, backends } = readArguments(200);
for (const backend of backends) {
  const measured = await measure(backend, count);
  printTable(`healing of a flush, ${backend}, ${2 * operatorBans + 4} bans`, measured);
  writeFigures(`healing-${backend}`, [
    {
      promise: `A flush by another tool is healed with all bans within 500 ms at the 99th percentile, on ${backend}`,
      test: `node bench/healing.ts --count ${count} --backend ${backend}`,
      figure: [...measured].map(([name, times]) => `${name}: ${inWords(times)}`).join("; "),
    },
  ]);
}
