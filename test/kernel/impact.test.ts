// The impact of a write is measured: exactly those sources are named that real, open connections make it concern.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { PolicyInput } from "../support/api.ts";
import {
  batchOfBans,
  type Foresight,
  foresee,
  type ImpactSource,
  patchPolicy,
  postBan,
  postPolicy,
  putBan,
  putPolicy,
} from "../support/foresight.ts";
import { type FamilyAddresses, families, forBackends } from "../support/kernel.ts";
import type { Scene } from "../support/scene.ts";
import { shareScene } from "../support/shared-scenes.ts";

const [first, second, other, elsewhere] = [7000, 7001, 7002, 7003];
const maxConnections = 3;

/** Two addresses that count as one in IPv6 only. */
const pair = ({ source }: FamilyAddresses) => [source(8), source(8).replace(/:5$/, ":6").replace(/\.8$/, ".9")] as const;
const shielded = ({ family }: FamilyAddresses) => (family === 4 ? "10.9.250.7" : "2001:db8:9:fa07::5");

/** Opens connections around the limit from many sources of both families; resolves with what closes them. */
async function openAll({ traffic }: Scene): Promise<() => Promise<void>> {
  const held = families.flatMap((family) => [
    traffic.hold(family.source(1), first, 5),
    traffic.hold(family.source(2), first, 2),
    traffic.hold(family.source(2), second, 2),
    traffic.hold(family.source(3), first, maxConnections),
    traffic.hold(family.source(4), second, 1),
    traffic.hold(family.source(5), first, 4),
    traffic.hold(family.source(7), other, 5),
    ...pair(family).map((from) => traffic.hold(from, first, 2)),
    traffic.hold(shielded(family), second, 6),
  ]);
  const open = (await Promise.all(held)).flat();
  return () => traffic.close(open);
}

/** A limit over two ports, with one source of each family exempt. */
const limit: PolicyInput = {
  ports: [first, second],
  maxConnections,
  exempt: families.map(({ source }) => source(5)),
};

/** Those whom the limit concerns, most connections first, then by address. */
function concerned(outcome: ImpactSource["outcome"]): readonly ImpactSource[] {
  const named = families.flatMap((one): readonly ImpactSource[] => [
    { source: one.subject(1), connections: 5, limit: maxConnections, outcome },
    { source: one.subject(2), connections: 4, limit: maxConnections, outcome },
    { source: one.subject(5), connections: 4, limit: maxConnections, outcome: "exempt" },
    ...(one.family === 6 ? [{ source: one.subject(8), connections: 4, limit: maxConnections, outcome }] : []),
    {
      source: one.family === 4 ? "10.9.250.7" : "2001:db8:9:fa07::/64",
      connections: 6,
      limit: maxConnections,
      outcome: "protected",
    },
  ]);
  return named.toSorted((a, b) => b.connections - a.connections);
}

/** What a policy can do, and what those over its limit then get. */
const variants: readonly (readonly [Partial<PolicyInput>, ImpactSource["outcome"]])[] = [
  [{ ban: null }, "refused"],
  [{ ban: { seconds: 60 } }, "banned"],
  [{ ban: { seconds: 60, scope: "ports" } }, "banned"],
  [{ ban: { seconds: 60 }, mode: "observe" }, "observed"],
];

async function assertPolicies({ service, api }: Scene): Promise<void> {
  // Kept, but not in the kernel.
  await api.putPolicy("kept", { ports: [elsewhere], maxConnections: 1_000, mode: "off" });
  for (const [variant, outcome] of variants) {
    const { impact, warnings, changed } = await foresee(service, putPolicy("limit", { ...limit, ...variant }));
    assert.deepEqual([impact.sources, changed, warnings], [concerned(outcome), true, []], JSON.stringify(variant));
  }
  for (const write of [
    postPolicy("limit", limit),
    putPolicy("kept", limit),
    patchPolicy("kept", { ...limit, mode: "enforce" }),
  ]) {
    assert.deepEqual((await foresee(service, write)).impact.sources, concerned("refused"), `${write.method} ${write.path}`);
  }
  assert.deepEqual((await foresee(service, putPolicy("limit", { ...limit, mode: "off" }))).impact.sources, []);
  const roomy = await foresee(service, putPolicy("limit", { ...limit, maxConnections: 6 }));
  assert.deepEqual(roomy.impact.sources, []);
}

async function assertPrefixes({ service }: Scene): Promise<void> {
  const { impact } = await foresee(
    service,
    putPolicy("limit", { ...limit, maxConnections: 17, countPer: { ipv4Prefix: 24, ipv6Prefix: 128 } }),
  );
  // 5 + 4 + 3 + 1 + 2 + 2 of 10.9.0.0/24, less than 17 more of each other network.
  assert.deepEqual(impact.sources, []);
  const narrower = await foresee(
    service,
    putPolicy("limit", { ...limit, maxConnections: 16, countPer: { ipv4Prefix: 24, ipv6Prefix: 48 } }),
  );
  assert.deepEqual(narrower.impact.sources, [
    { source: "10.9.0.0/24", connections: 17, limit: 16, outcome: "refused" },
    { source: "2001:db8:9::/48", connections: 17, limit: 16, outcome: "refused" },
  ]);
}

async function assertBans({ service, api }: Scene): Promise<void> {
  const banned = (source: string, connections: number): ImpactSource => ({ source, connections, limit: 0, outcome: "banned" });
  const assertSevers = (foresight: Foresight<{ severed: number | null }>, severed: number | null, named: ImpactSource[]) => {
    assert.deepEqual(foresight.impact.sources, named);
    assert.equal(foresight.result.severed, severed);
  };
  for (const family of families) {
    const { source } = family;
    const [one, two] = pair(family);
    const wide = family.family === 4 ? "10.9.0.8/31" : "2001:db8:9:8::/64";
    assertSevers(await foresee(service, putBan(source(2))), 4, [banned(source(2), 4)]);
    assertSevers(await foresee(service, postBan(source(7), { sever: false })), null, [banned(source(7), 5)]);
    assertSevers(await foresee(service, putBan(source(99))), 0, []);
    assertSevers(await foresee(service, postBan(wide)), 4, [banned(one, 2), banned(two, 2)]);
    const batch = batchOfBans([{ address: source(1) }, { address: source(3), sever: false }, { address: wide }]);
    assertSevers(await foresee(service, batch), 9, [banned(source(1), 5), banned(source(3), 3), banned(one, 2), banned(two, 2)]);
    assert.equal((await api.putBan(source(2))).severed, 4);
    await api.deleteBan(source(2));
  }
}

forBackends((backend) => {
  const scene = shareScene({ backend, ports: [first, second, other, elsewhere] });
  const tracked = (): Promise<string> => scene().network.exec("host", "cat", ["/proc/net/nf_conntrack"]);

  test("where no rule tracks connections, the sockets tell whom limits and bans would concern", async () => {
    const close = await openAll(scene());
    await assertPolicies(scene());
    await assertPrefixes(scene());
    await assertBans(scene());
    assert.equal(await tracked(), "");
    await close();
  });

  test("where a rule tracks connections, its table tells whom limits and bans would concern", async () => {
    await scene().api.putPolicy("tracking", { ports: [elsewhere], maxConnections: 1_000 });
    const close = await openAll(scene());
    assert.notEqual(await tracked(), "");
    await assertPolicies(scene());
    await assertPrefixes(scene());
    await assertBans(scene());
    await close();
  });
});
