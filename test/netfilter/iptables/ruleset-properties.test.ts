import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Family, parseNetwork } from "../../../src/domain/network.ts";
import { isExempt, type Policy, type PolicyBan } from "../../../src/domain/policy.ts";
import { offenderListName, offenderListOf, offenderSetName } from "../../../src/netfilter/bans/names.ts";
import { chainPrefix, entryChain } from "../../../src/netfilter/iptables/rule.ts";
import { ruleText } from "../../../src/netfilter/iptables/rule-text.ts";
import { compileRuleset } from "../../../src/netfilter/iptables/ruleset.ts";
import { type Packet, walkPacket } from "../../support/packet-walk.ts";
import { samplePolicy } from "../../support/samples.ts";
import { classicBan, somePolicies } from "../some-policies.ts";

const family: fc.Arbitrary<Family> = fc.constantFrom(4, 6);
const sources = { 4: ["10.1.2.3", "192.0.2.7", "203.0.113.9"], 6: ["2001:db8:1:2:3::9", "2001:db8:1::9", "2a00::1"] } as const;

function compile(policies: readonly Policy[], of: Family = 4, withSets = true) {
  return compileRuleset({
    family: of,
    policies,
    protectedNetworks: [parseNetwork("127.0.0.0/8"), parseNetwork("::1")],
    withSets,
    retired: [],
  });
}

/** Policies for `count` ports of their own, all of the same kind. */
function manyPolicies(count: number, ban: PolicyBan | null): readonly Policy[] {
  return Array.from({ length: count }, (_, index) => samplePolicy({ name: `policy-${index}`, ports: [1024 + index * 60], ban }));
}

for (const withSets of [true, false]) {
  describe(`with ipset ${withSets ? "there" : "missing"}, a packet that no policy concerns pays a constant price:`, () => {
    const established: Packet = { from: "203.0.113.9", port: 22 };
    const few = withSets ? 5 : 4;
    const met = (packet: Packet, count: number, ban: PolicyBan | null) =>
      walkPacket(compile(manyPolicies(count, ban), 4, withSets), packet).rulesMet;

    for (const [name, ban] of [
      ["no bans", null],
      ["bans of the host", classicBan],
    ] as const) {
      test(`one of an established connection meets the same rules with 1 policy as with 1,000 (${name})`, () => {
        assert.equal(met(established, 1000, ban), met(established, 1, ban));
        assert.ok(met(established, 1000, ban) <= few);
      });

      test(`one that opens a connection meets at most 32 more with 1,000 policies (${name})`, () => {
        for (const port of [22, 1000, 1025, 31_337, 65_000]) {
          assert.ok(met({ ...established, port, opens: true }, 1000, ban) <= few + 32);
        }
      });
    }

    test("any of them meets at most 32 more where 1,000 policies ban from their ports", () => {
      for (const port of [22, 1000, 1025, 31_337, 65_000]) {
        assert.ok(met({ ...established, port }, 1000, { ...classicBan, scope: "ports" }) <= few + 32);
      }
    });

    test("also where 1,000 policies are about one other port", () => {
      const policies = manyPolicies(1000, null).map((policy) => ({ ...policy, ports: [3306] }));
      assert.ok(walkPacket(compile(policies, 4, withSets), { ...established, opens: true }).rulesMet <= few + 32);
    });

    test("also where 1,000 policies ban from one other port", () => {
      const policies = manyPolicies(1000, { ...classicBan, scope: "ports" }).map((policy) => ({ ...policy, ports: [3306] }));
      for (const opens of [true, false]) {
        assert.ok(walkPacket(compile(policies, 4, withSets), { ...established, opens }).rulesMet <= few + 64);
      }
    });
  });
}

describe("whatever the policies are,", () => {
  const port = fc.oneof(fc.constantFrom(80, 443, 3306), fc.integer({ min: 1, max: 65535 }));

  test("a source that holds nothing and is on no list gets in", () => {
    fc.assert(
      fc.property(somePolicies(), family, port, fc.boolean(), fc.nat({ max: 2 }), (policies, of, to, opens, index) => {
        const journey = walkPacket(compile(policies, of), { from: sources[of][index] ?? "", port: to, opens });
        assert.deepEqual([journey.verdict, journey.stamped, journey.added], ["passed", [], []]);
      }),
    );
  });

  test("a source over a limit is listed by the policies of that port up to the first that refuses, and by no other", () => {
    fc.assert(
      fc.property(
        somePolicies(),
        family,
        fc.integer({ min: 1, max: 6 }),
        fc.nat({ max: 2 }),
        (policies, of, connections, index) => {
          const from = sources[of][index] ?? "";
          for (const to of new Set(policies.flatMap((policy) => policy.ports))) {
            const journey = walkPacket(compile(policies, of), { from, port: to, opens: true }, { connections });
            const concerned = policies.filter(
              (policy) =>
                policy.mode !== "off" &&
                policy.ports.includes(to) &&
                connections > policy.maxConnections &&
                !isExempt(policy, parseNetwork(from)),
            );
            const refusing = concerned.findIndex((policy) => policy.mode === "enforce");
            const expected = (refusing < 0 ? concerned : concerned.slice(0, refusing + 1)).map((policy) =>
              offenderListOf(policy, of),
            );
            assert.deepEqual(
              journey.stamped.filter((list) => list.includes("-who-")),
              expected.map(offenderListName),
            );
            assert.deepEqual(
              journey.added.map(({ set }) => set).filter((set) => /^cld[46]-w/.test(set)),
              expected.map(offenderSetName),
            );
            assert.equal(journey.verdict === "passed", refusing < 0);
          }
        },
      ),
    );
  });

  test("the entry chain and every chain that a rule leads to are there", () => {
    fc.assert(
      fc.property(somePolicies(), family, (policies, of) => {
        const chains = compile(policies, of);
        const led = [...chains.values()].flat().flatMap(({ target }) => ("chain" in target ? target.chain : []));
        for (const name of [entryChain, ...led]) assert.ok(chains.has(name), name);
      }),
    );
  });

  test("every name of a chain, list or set is the service's own, and short enough for iptables, xt_recent and ipset", () => {
    fc.assert(
      fc.property(somePolicies(), family, (policies, of) => {
        const chains = compile(policies, of);
        const matches = [...chains.values()].flat().flatMap((rule) => rule.matches);
        for (const name of chains.keys()) assert.ok(name.startsWith(chainPrefix) && name.length <= 28, name);
        for (const match of matches) {
          if ("list" in match) assert.match(match.list, new RegExp(`^cld${of}-[a-z0-9-]{1,190}$`));
          if ("set" in match) assert.match(match.set, new RegExp(`^cld${of}-[a-z0-9-]{1,26}$`));
        }
      }),
    );
  });

  test("the same policies in the same order give the same rules, and their descriptions, revisions and times reach none", () => {
    fc.assert(
      fc.property(somePolicies(), family, (policies, of) => {
        const edited = policies.map((policy) => ({
          ...policy,
          description: "`reboot` \n-A INPUT -j DROP",
          revision: 9,
          updatedAt: 9,
        }));
        assert.deepEqual([...compile(edited, of)], [...compile(policies, of)]);
      }),
    );
  });

  test("an edit of one leaves the rules that count the others alone, and its own unless limit, ports or prefix change", () => {
    fc.assert(
      fc.property(somePolicies(4), somePolicies(4), family, (policies, others, of) => {
        fc.pre(policies.length > 0 && others.length > 0);
        const [first, ...rest] = policies;
        const [other] = others;
        if (!first || !other) return;
        const counted = { maxConnections: first.maxConnections, ports: first.ports.toReversed(), countPer: first.countPer };
        const edited = { ...first, ...other, ...counted, name: first.name };
        const before = countingRules(compile([first, ...rest], of), of);
        const after = countingRules(compile([edited, ...rest], of), of);
        for (const policy of edited.mode === "off" || first.mode === "off" ? rest : policies) {
          assert.equal(after.get(policy.name), before.get(policy.name));
        }
        const wider = countingRules(compile([{ ...first, mode: "enforce", ports: [1, 2, 3] }], of), of);
        const narrower = countingRules(compile([{ ...first, mode: "enforce", ports: [1, 2] }], of), of);
        assert.notEqual(wider.get(first.name), narrower.get(first.name));
      }),
    );
  });
});

/** The text of the rule that counts, by the name of the policy whose chain holds it. */
function countingRules(chains: ReturnType<typeof compile>, of: Family): ReadonlyMap<string, string> {
  const counting = [...chains].flatMap(([name, rules]) =>
    rules
      .filter((rule) => rule.matches.some((match) => match.kind === "connlimit"))
      .map((rule) => [name, ruleText(rule, of)] as const),
  );
  return new Map(counting.map(([name, text]) => [name.replace(/^CLD-P-/, ""), text]));
}
