// The plan of a dry run is, to the letter, what the write then sends to the kernel.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BanInput, PolicyInput } from "../support/api.ts";
import { withDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import {
  batchOfBans,
  deleteBan,
  deletePolicy,
  type Foresight,
  patchPolicy,
  postBan,
  putBan,
  putPolicy,
  sendWrite,
  type Write,
  withQuery,
} from "../support/foresight.ts";
import { families, forBackendsSideBySide } from "../support/kernel.ts";
import { type Random, seededRandom } from "../support/random.ts";
import { createScene, type Scene } from "../support/scene.ts";
import { createRecorders, type Lists, listReader, plannedWrites, type Recorders, sameLines, writesBetween } from "./sent.ts";

const changes = 250;
/** After so many changes, packets make the kernel ban by itself. */
const offenceEvery = 50;
const ports = { one: [7200], two: [7201, 7202], three: [7203] } as const;
type Name = keyof typeof ports;
const names = Object.keys(ports) as Name[];
const offended = "offended";
const offendedPort = 7204;
const addresses = families.flatMap(({ source }) => [1, 2, 3, 4, 5, 6].map(source));
const networks = ["10.9.70.0/24", "10.9.72.0/23", "2001:db8:9:70::/64", "2001:db8:9:7200::/56"];

function randomPolicy(random: Random, name: Name): PolicyInput {
  const ban = { seconds: random.pick([60, 600]), scope: random.pick(["host", "ports"] as const) };
  return {
    ports: ports[name],
    maxConnections: 1 + random.integer(4),
    mode: random.pick(["enforce", "enforce", "observe", "off"] as const),
    ban: random.pick([null, ban, { ...ban, renewOnAttempt: true }]),
    rejectWith: random.pick(["tcp-reset", "icmp-port-unreachable", "drop"] as const),
    exempt: random.pick([[], ["10.9.8.0/24"], ["2001:db8:9:8::/64"]]),
    countPer: random.pick([{}, { ipv4Prefix: 24, ipv6Prefix: 56 }]),
  };
}

/** Never one that ends about when an earlier one does: whether that is near enough would be a matter of milliseconds. */
function randomBan(random: Random, number: number): BanInput {
  const ttlSeconds = 600 + 60 * number;
  return random.pick([{}, { ttlSeconds }, { ttlSeconds, reason: "scanner" }, { sever: false }]);
}

function randomWrite(random: Random, number: number): Write {
  const name = random.pick(names);
  const target = random.pick([...addresses, ...networks]);
  switch (random.integer(12)) {
    case 0:
    case 1:
      return putPolicy(name, randomPolicy(random, name));
    case 2:
      return patchPolicy(name, { mode: random.pick(["enforce", "observe", "off"] as const) });
    case 3:
      return random.pick([
        deletePolicy(name),
        patchPolicy(name, { maxConnections: 1 + random.integer(9) }),
        patchPolicy(offended, { exempt: random.pick([[], ["10.9.8.0/24"]]), maxConnections: 1 + random.integer(2) }),
        patchPolicy(offended, { ban: { seconds: 900, scope: random.pick(["host", "ports"] as const) } }),
      ]);
    case 4:
      return postBan(target, randomBan(random, number));
    case 5:
    case 6:
      return deleteBan(random.pick([target, ...families.map(({ subject }) => subject(31 + random.integer(2)))]));
    case 7: {
      const chosen = new Set([target, ...Array.from({ length: random.integer(5) }, () => random.pick(addresses))]);
      const lifted = [...new Set([random.pick(addresses), random.pick(networks)])].filter((address) => !chosen.has(address));
      return batchOfBans(
        [...chosen].map((address) => ({ address, ...randomBan(random, number) })),
        lifted,
      );
    }
    default:
      return putBan(target, randomBan(random, number));
  }
}

/** Some sources go over a limit that bans them. */
async function offend({ api, traffic }: Scene): Promise<void> {
  await api.putPolicy(offended, { ports: [offendedPort], maxConnections: 1, ban: { seconds: 900 } });
  for (const { source, subject } of families) {
    await traffic.exceed([source(31), source(32)], offendedPort, 1);
    for (const n of [31, 32]) await eventually("the kernel's ban is listed", () => api.ban(subject(n)));
  }
  const listed = Date.now();
  await eventually("the ends of these bans are known", () => Date.now() - listed > 600, { every: 50 });
}

/** So that what is banned next finds the lists full before long, and goes into sets. */
async function fillLists({ api }: Scene): Promise<void> {
  const others = families.flatMap(({ source }) => Array.from({ length: 97 }, (_, index) => ({ address: source(1_000 + index) })));
  await api.batch({ put: others });
}

const nothing = { ipv4: [], ipv6: [], ipset: [] };

/** Rehearses a write and makes it, and asserts that the plan was what it sent; tells what became of it. */
async function assertAsPlanned(
  { service }: Scene,
  recorders: Recorders,
  readLists: () => Lists,
  write: Write,
  what: string,
): Promise<"refused" | "unchanged" | "changed"> {
  recorders.take();
  const before = readLists();
  const foreseen = await sendWrite(service, withQuery(write, { dryRun: "true" }));
  assert.deepEqual(recorders.take(), nothing, `the dry run of ${what}`);
  const written = await sendWrite(service, write);
  const [sent, after] = [recorders.take(), readLists()];
  if (foreseen.status !== 200) {
    assert.deepEqual([written.status, sent], [foreseen.status, nothing], what);
    return "refused";
  }
  assert.ok([200, 201, 204].includes(written.status), `${what}: ${JSON.stringify(written.body)}`);
  const { plan, changed } = foreseen.body as Foresight;
  assert.equal(written.headers["connlimitd-changed"], String(changed), what);
  for (const part of ["ipv4", "ipv6", "ipset"] as const) {
    const both = `planned ${JSON.stringify(plan[part])}\nsent ${JSON.stringify(sent[part])}`;
    assert.ok(sameLines(plan[part], sent[part]), `${what}\n${both}`);
  }
  assert.deepEqual(plannedWrites(plan, after), writesBetween(before, after), what);
  return changed ? "changed" : "unchanged";
}

forBackendsSideBySide((backend) => {
  test(`for ${changes} random changes the plan equals what the write sends`, async (t) => {
    await withDirectory(async (directory) => {
      const recorders = await createRecorders(directory, backend);
      await using scene = await createScene({ backend, ports: [offendedPort], env: recorders.env });
      const readLists = listReader(scene.network);
      const random = seededRandom(backend === "nft" ? 20_261_122 : 20_261_123);
      const counts = { refused: 0, unchanged: 0, changed: 0 };
      await fillLists(scene);
      for (let number = 0; number < changes; number += 1) {
        if (number % offenceEvery === 0) await offend(scene);
        const write = randomWrite(random, number);
        const what = `change ${number}: ${write.method} ${write.path} ${JSON.stringify(write.body)}`;
        counts[await assertAsPlanned(scene, recorders, readLists, write, what)] += 1;
      }
      t.diagnostic(JSON.stringify(counts));
      assert.ok(counts.changed > changes / 2, "most of them change something");
    });
  });
});
