// A thousand random writes, half of them on each backend, shut out neither who is protected nor, without override, an SSH client.
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatNetwork, maskNetwork, parseNetwork } from "../../src/domain/network.ts";
import type { BanInput, PolicyInput } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { batchOfBans, mustWrite, putBan, putPolicy, sendWrite, type Write } from "../support/foresight.ts";
import { type FamilyAddresses, families, forBackendsSideBySide } from "../support/kernel.ts";
import { type Random, seededRandom } from "../support/random.ts";
import { createGuardedScene, type GuardedScene, gateways, sshPort, web } from "./guarded-scene.ts";

const rounds = 10;
/** Of each round. */
const [singleBans, batchedBans, limitsPerRound] = [3, 42, 5];

const shielded = ({ family }: FamilyAddresses) => (family === 4 ? "10.9.250.7" : "2001:db8:9:fa07::5");
const client = ({ source }: FamilyAddresses) => source(1);

/** A network around somebody whom the guard knows, or next to one. */
function randomTarget(random: Random): string {
  const one = random.pick(families);
  const near = random.pick([
    one.source(1),
    one.source(2),
    one.source(300),
    one.source(40_000),
    one.source(50_000),
    shielded(one),
  ]);
  const address = parseNetwork(random.pick([near, near, near, one.host, gateways[one.family]]));
  const shorter = random.pick(one.family === 4 ? [0, 0, 0, 1, 4, 8, 12, 17, 25] : [0, 0, 0, 32, 64, 65, 72, 81, 113]);
  return formatNetwork(maskNetwork(address, address.prefix - shorter));
}

function randomPolicy(random: Random): PolicyInput {
  const seconds = random.pick([60, 600]);
  return {
    ports: random.pick([[sshPort], [web], [sshPort, web], [web, 7401]]),
    maxConnections: 1 + random.integer(3),
    mode: random.pick(["enforce", "enforce", "enforce", "enforce", "observe", "off"] as const),
    ban: random.pick([null, { seconds }, { seconds, scope: "ports" as const, renewOnAttempt: true }]),
    exempt: random.pick([[], [], [], families.map(client)]),
    countPer: random.pick([{}, { ipv4Prefix: 24, ipv6Prefix: 48 }, { ipv4Prefix: 16, ipv6Prefix: 128 }]),
  };
}

const bodyOf = (random: Random): BanInput => random.pick([{}, { ttlSeconds: 600 }]);

/** Sends one write; whether it was taken. */
async function isTaken({ service }: GuardedScene, write: Write): Promise<boolean> {
  const { status, body } = await sendWrite(service, write);
  assert.ok([200, 201, 202, 409].includes(status), `${write.path} ${JSON.stringify(write.body)}: ${JSON.stringify(body)}`);
  if (status === 409) assert.equal((body as { type: string }).type, "/problems/lockout");
  return status !== 409;
}

/** Sends many bans at once, and again without those that the answer points at; resolves with what is banned then. */
async function banMany({ service }: GuardedScene, wanted: ReadonlyMap<string, BanInput>): Promise<readonly string[]> {
  let left = [...wanted].map(([address, ban]) => ({ address, ...ban }));
  // Protected ones are pointed at first, and those whom the guard knows after that.
  for (let attempt = 0; attempt < 3 && left.length > 0; attempt += 1) {
    const { status, body } = await sendWrite(service, batchOfBans(left));
    if (status === 200 || status === 202) return left.map(({ address }) => address);
    const { type, errors } = body as { readonly type: string; readonly errors: readonly { readonly pointer: string }[] };
    assert.equal(type, "/problems/lockout", JSON.stringify(body));
    const wrong = new Set(errors.map(({ pointer }) => Number(/\/put\/(\d+)\/address$/.exec(pointer)?.[1])));
    left = left.filter((_, index) => !wrong.has(index));
  }
  assert.equal(left.length, 0, "a batch without those that were pointed at is taken");
  return [];
}

forBackendsSideBySide((backend) => {
  test(`${rounds * (singleBans + batchedBans + limitsPerRound)} random policies and bans leave SSH clients and protected addresses alone`, async (t) => {
    await using scene = await createGuardedScene(backend);
    const { traffic, service } = scene;
    const random = seededRandom(backend === "nft" ? 409 : 410);
    // Enough on the other port for some limits to concern them.
    await mustWrite(service, putPolicy("tracking", { ports: [web], maxConnections: 1_000 }));
    const sessions = (await Promise.all(families.map((one) => traffic.hold(client(one), sshPort, 2)))).flat();
    const others = (await Promise.all(families.map((one) => traffic.hold(client(one), web, 3)))).flat();
    const shields = (await Promise.all(families.map((one) => traffic.hold(shielded(one), web)))).flat();
    let [bans, policies] = [0, 0];

    for (let number = 0; number < rounds; number += 1) {
      const singles = Array.from({ length: singleBans }, () => randomTarget(random));
      const wanted = Array.from({ length: batchedBans }, () => [randomTarget(random), bodyOf(random)] as const);
      const limits = Array.from({ length: limitsPerRound }, (_, index) => putPolicy(`policy-${index}`, randomPolicy(random)));
      const [alone, together, set] = await Promise.all([
        Promise.all(singles.map((address) => isTaken(scene, putBan(address, bodyOf(random))))),
        banMany(scene, new Map(wanted)),
        Promise.all(limits.map((write) => isTaken(scene, write))),
      ]);
      const banned = [...new Set([...singles.filter((_, index) => alone[index]), ...together])];
      bans += banned.length;
      policies += set.filter(Boolean).length;
      await eventually("all of it is in the kernel", async () => (await service.request("GET", "/readyz")).status === 200);
      for (const connection of [...sessions, ...shields])
        assert.equal(await traffic.send(connection), "echoed", `round ${number}: ${banned.join(" ")}`);
      for (const one of families) assert.equal(await traffic.knock(shielded(one), web), "connected");
      await mustWrite(service, batchOfBans([], banned));
    }
    const [allBans, allPolicies] = [rounds * (singleBans + batchedBans), rounds * limitsPerRound];
    t.diagnostic(`${bans} of ${allBans} bans and ${policies} of ${allPolicies} policies were taken`);
    assert.ok(bans > allBans / 8 && bans < allBans, "some bans are refused");
    assert.ok(policies > allPolicies / 5 && policies < allPolicies, "some policies are refused");
    for (const connection of others) assert.equal(await traffic.send(connection), "echoed");
  });
});
