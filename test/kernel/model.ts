// What the service is supposed to hold, as simple as it can be said.
import assert from "node:assert/strict";
import fc from "fast-check";
import { eventually } from "../support/eventually.ts";
import { type Backend, families, listedAddresses, readSets, save, writeList } from "../support/kernel.ts";
import type { Scene } from "../support/scene.ts";
import { flushesOn } from "./flushes.ts";

const policyPort = { alpha: 6_000, beta: 6_001, gamma: 6_002 } as const;
type PolicyName = keyof typeof policyPort;
const names = Object.keys(policyPort) as PolicyName[];
const free = 6_003;
/** Ports with servers. */
export const ports: readonly number[] = [...Object.values(policyPort), free];

/** What operators ban, each with an address that it hits. */
const targets = new Map<string, string>([
  ...[1, 2, 3, 4, 5].flatMap((n) => families.map(({ source }): [string, string] => [source(n), source(n)])),
  ["10.9.60.0/24", "10.9.60.6"],
  ["10.9.61.128/25", "10.9.61.200"],
  ["2001:db8:9:60::/64", "2001:db8:9:60::6"],
  ["2001:db8:9:6100::/56", "2001:db8:9:6111::6"],
]);
/** Who goes over a limit; nobody whom an operator bans. */
const offenders = [21, 22, 23] as const;

const address = fc.constantFrom(...targets.keys());
const name = fc.constantFrom(...names);
const put = fc.record({ address, ttl: fc.constantFrom(null, null, 3, 600) });

/** One thing that somebody does. */
export const command = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("put-ban" as const), ban: put }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete-ban" as const), address }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("batch" as const),
      put: fc.uniqueArray(put, { maxLength: 5, selector: (ban) => ban.address }),
      delete: fc.uniqueArray(address, { maxLength: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("put-policy" as const),
      name,
      mode: fc.constantFrom("enforce" as const, "enforce" as const, "observe" as const, "off" as const),
      seconds: fc.constantFrom(null, 600, 900),
      scope: fc.constantFrom("host" as const, "ports" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("delete-policy" as const), name }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("offend" as const),
      name,
      n: fc.constantFrom(...offenders),
      family: fc.constantFrom(4 as const, 6 as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("lift" as const),
      n: fc.constantFrom(...offenders),
      family: fc.constantFrom(4 as const, 6 as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("flush" as const), kind: fc.nat(10) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("kill" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("take-out" as const), which: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const), milliseconds: fc.integer({ min: 100, max: 1_000 }) }) },
);

export type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never;
type Put = typeof put extends fc.Arbitrary<infer Value> ? Value : never;
type PolicyCommand = Extract<Command, { do: "put-policy" }>;

/** The model with the hands to do things and the eyes to compare. */
export interface Model {
  /** Does it, in the model and in the world. */
  perform(command: Command): Promise<void>;
  /** @throws {Error} when API or kernel say anything else than the model, for longer than healing takes */
  verify(): Promise<void>;
}

/** A ban with an end this near, in milliseconds, may be there or not. */
const vague = 1_200;

export function createModel({ api, traffic, service, network }: Scene, backend: Backend): Model {
  const bans = new Map<string, number | null>();
  const policies = new Map<PolicyName, PolicyCommand>();
  /** Bans that the kernel makes: the policies by the banned address and its source. */
  const made = new Map<string, { readonly source: string; readonly by: Set<PolicyName> }>();
  const familyOf = (family: 4 | 6) => families.find((one) => one.family === family) ?? assert.fail();

  const note = ({ address, ttl }: Put): void => {
    bans.set(address, ttl === null ? null : Date.now() + ttl * 1_000);
  };
  const forget = (policy: PolicyName): void => {
    for (const [subject, { by }] of made) if (by.delete(policy) && by.size === 0) made.delete(subject);
  };
  const inBody = ({ address, ttl }: Put) => (ttl === null ? { address } : { address, ttlSeconds: ttl });
  const stands = (end: number | null): boolean => end === null || end > Date.now() + vague;
  const isOver = (end: number | null): boolean => end !== null && end < Date.now() - vague;

  const offend = async ({ name, n, family }: Extract<Command, { do: "offend" }>): Promise<void> => {
    const { source, subject } = familyOf(family);
    const policy = policies.get(name);
    const before = [...(made.get(subject(n))?.by ?? [])];
    // Whoever is banned already does not come as far as the limit.
    if (before.some((one) => one === name || policies.get(one)?.scope === "host")) return;
    const [attempt] = await traffic.exceed([source(n)], policyPort[name], 1);
    const refuses = policy?.mode === "enforce";
    assert.equal(attempt?.outcome, refuses ? "refused" : "connected");
    if (!refuses || policy.seconds === null) return;
    made.set(subject(n), { source: source(n), by: new Set([...before, name]) });
    await eventually("the ban is listed", async () => (await api.ban(subject(n)))?.causes.some((cause) => cause.policy === name));
  };

  const putPolicy = async (next: PolicyCommand): Promise<void> => {
    const { name, mode, seconds, scope } = next;
    const before = policies.get(name);
    await api.putPolicy(name, {
      ports: [policyPort[name]],
      maxConnections: 1,
      mode,
      ban: seconds === null ? null : { seconds, scope },
    });
    policies.set(name, next);
    if (mode !== "enforce" || seconds === null) forget(name);
    // A change of scope is left to the service: the bans under the earlier terms may go on or not.
    else if (before !== undefined && before.scope !== scope) for (const subject of [...made.keys()]) await lift(subject);
  };
  const lift = async (subject: string): Promise<void> => {
    await service.request("DELETE", `/v1/bans/${encodeURIComponent(subject)}`);
    made.delete(subject);
  };

  const takeOut = async (which: number): Promise<void> => {
    const standing = [...bans].filter(([, end]) => stands(end)).map(([address]) => address);
    const address = standing[which % Math.max(1, standing.length)];
    if (address === undefined) return;
    const store = `cld${address.includes(":") ? 6 : 4}-operator`;
    if ((await readSets(network)).get(store)?.some((member) => member.address === address))
      await network.exec("host", "ipset", ["del", store, address]);
    else await writeList(network, store, `-${address}\n`);
  };

  const perform = async (next: Command): Promise<void> => {
    switch (next.do) {
      case "put-ban":
        note(next.ban);
        await api.putBan(next.ban.address, next.ban.ttl === null ? {} : { ttlSeconds: next.ban.ttl });
        return;
      case "delete-ban":
        await service.request("DELETE", `/v1/bans/${encodeURIComponent(next.address)}`);
        bans.delete(next.address);
        return;
      case "batch": {
        const deleted = next.delete.filter((one) => !next.put.some((ban) => ban.address === one));
        if (next.put.length + deleted.length === 0) return;
        for (const ban of next.put) note(ban);
        await api.batch({ put: next.put.map(inBody), delete: deleted });
        for (const one of deleted) bans.delete(one);
        return;
      }
      case "put-policy":
        return putPolicy(next);
      case "delete-policy":
        if (policies.delete(next.name)) await api.deletePolicy(next.name);
        return forget(next.name);
      case "offend":
        return offend(next);
      case "lift":
        return lift(familyOf(next.family).subject(next.n));
      case "flush": {
        const flushes = flushesOn(backend);
        return flushes[next.kind % flushes.length]?.run(network);
      }
      case "kill":
        await service.kill();
        return service.restart();
      case "take-out":
        return takeOut(next.which);
      case "wait": {
        const begun = Date.now();
        await eventually("some time is over", () => Date.now() - begun > next.milliseconds, { every: 50 });
      }
    }
  };

  const verifyBans = (what: string, listed: ReadonlySet<string>): void => {
    for (const [address, end] of bans) {
      if (stands(end)) assert.ok(listed.has(address), `${what} lacks ${address}`);
      if (isOver(end)) assert.ok(!listed.has(address), `${what} still has ${address}`);
    }
    for (const one of listed) assert.ok(bans.has(one), `${what} has ${one}, which nobody banned`);
  };

  const verifyOnce = async (): Promise<boolean> => {
    const listed = await api.bans();
    const byOperator = listed.filter((ban) => ban.causes.some((cause) => cause.by === "operator"));
    verifyBans("the API", new Set(byOperator.map((ban) => ban.address)));
    for (const ban of listed) assert.ok(ban.enforced || !stands(bans.get(ban.address) ?? null), `${ban.address} is not enforced`);
    const causes = listed.map((ban) => [ban.address, ban.causes.flatMap((cause) => cause.policy ?? []).sort()] as const);
    assert.deepEqual(
      new Map(causes.filter(([, by]) => by.length > 0)),
      new Map([...made].map(([subject, { by }]) => [subject, [...by].sort()])),
    );

    const sets = await readSets(network);
    const held = families.map(async ({ family }) => [
      ...((await listedAddresses(network, `cld${family}-operator`)) ?? []),
      ...(sets.get(`cld${family}-operator`) ?? []).map((member) => member.address),
    ]);
    verifyBans("the kernel", new Set((await Promise.all(held)).flat()));

    const stored = (await api.policies()).map((policy) => [policy.name, policy.mode, policy.enforcement.state]);
    const wanted = [...policies].map(([policy, { mode }]) => [policy, mode, mode === "off" ? "off" : "enforced"]);
    assert.deepEqual(stored, wanted.sort());
    for (const { family } of families) {
      const chains = (await save(network, backend, family)).matchAll(/^:CLD-P-([a-z]+) /gm);
      const active = wanted.filter(([, mode]) => mode !== "off").map(([policy]) => policy);
      assert.deepEqual([...chains].map((match) => match[1]).sort(), active);
    }

    const refused = [
      ...[...bans].filter(([, end]) => stands(end)).map(([one]) => targets.get(one) ?? ""),
      ...[...made.values()]
        .filter(({ by }) => [...by].some((one) => policies.get(one)?.scope === "host"))
        .map((ban) => ban.source),
    ];
    const outcomes = await traffic.knockAll(refused, free);
    assert.deepEqual(outcomes.connected ?? [], []);
    const others = [...targets].filter(([one]) => !bans.has(one) || isOver(bans.get(one) ?? null)).map(([, source]) => source);
    assert.deepEqual((await traffic.knockAll(others, free)).refused ?? [], []);
    return true;
  };
  return { perform, verify: async () => void (await eventually("all agree", verifyOnce, { within: 4_000, every: 100 })) };
}
