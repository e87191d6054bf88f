import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseNetwork } from "../../../src/domain/network.ts";
import { isExempt, type Policy } from "../../../src/domain/policy.ts";
import { banHomeName } from "../../../src/netfilter/bans/ban-home.ts";
import { activityName, canaryName, graceListName, graceSetName, operatorName } from "../../../src/netfilter/bans/names.ts";
import { compileRuleset, memoryOf } from "../../../src/netfilter/iptables/ruleset.ts";
import { type Memory, walkPacket } from "../../support/packet-walk.ts";
import { samplePolicy } from "../../support/samples.ts";
import { classicBan } from "../some-policies.ts";
import { client, createRules, entry, kernels } from "./rules.ts";

for (const kernel of kernels) {
  const { family, withSets } = kernel;
  const { from, opening, established, where, compile, verdictOf, homeOf, holding, banned, offenders } = createRules(kernel);

  describe(`${where}, an exemption`, () => {
    const wide = family === 4 ? "203.0.113.0/24" : "2001:db8::/32";

    test("keeps its sources from being counted by this policy", () => {
      assert.equal(verdictOf([samplePolicy({ exempt: [wide] })], opening, { connections: 9 }), "passed");
    });

    test("says nothing about other policies", () => {
      const policies = [samplePolicy({ exempt: [wide] }), samplePolicy({ name: "strict" })];
      assert.equal(verdictOf(policies, opening, { connections: 9 }), "tcp-reset");
    });

    test("narrower than the counted network is not refused with the rest of it", () => {
      const policy = samplePolicy({ ban: classicBan, countPer: { ipv4Prefix: 24, ipv6Prefix: 64 }, exempt: [from] });
      const memory = {
        ...banned(policy, family === 4 ? "203.0.113.0" : "2001:db8:1:2::"),
        ...(withSets && family === 4 ? { inSets: { [banHomeName(homeOf(policy))]: ["203.0.113.0/24"] } } : {}),
      };
      const neighbour = family === 4 ? "203.0.113.10" : "2001:db8:1:2::a";
      assert.equal(verdictOf([policy], established, memory), "passed");
      assert.equal(verdictOf([policy], { ...established, from: neighbour }, memory), "tcp-reset");
    });

    test("of the other family makes no rule", () => {
      const other = family === 4 ? "2001:db8::/32" : "203.0.113.0/24";
      assert.deepEqual(
        compile([samplePolicy({ ban: classicBan, exempt: [other] })]),
        compile([samplePolicy({ ban: classicBan })]),
      );
    });

    test("of every address exempts every source", () => {
      const policy = samplePolicy({ exempt: [family === 4 ? "0.0.0.0/0" : "::/0"] });
      assert.equal(verdictOf([policy], opening, { connections: 9 }), "passed");
    });
  });

  describe(`${where}, a protected source`, () => {
    const guarded = family === 4 ? "198.51.100.7" : "2001:db8:99::7";

    test("is let through before anything else, whatever the lists hold", () => {
      const policy = samplePolicy({ ban: classicBan });
      const everywhere = [guarded, entry[family], family === 4 ? "198.51.100.7" : "2001:db8:99::"];
      const chains = compile([policy]);
      const named = [...chains.values()]
        .flat()
        .flatMap((rule) =>
          rule.matches.flatMap((match) => [...("list" in match ? [match.list] : []), ...("set" in match ? [match.set] : [])]),
        );
      const memory: Memory = {
        connections: 99,
        listed: Object.fromEntries(named.map((list) => [list, everywhere])),
        inSets: Object.fromEntries(named.map((set) => [set, everywhere])),
      };
      for (const packet of [
        { from: guarded, port: 3306, opens: true },
        { from: guarded, protocol: "udp", port: 3306 } as const,
      ]) {
        const journey = walkPacket(chains, packet, memory);
        assert.deepEqual([journey.verdict, journey.stamped, journey.added, journey.chains.length], ["passed", [], [], 1]);
      }
    });
  });

  describe(`${where}, a source that has grace`, () => {
    const policy = samplePolicy({ ban: classicBan });
    const grace = withSets ? graceSetName(family) : graceListName(family, family === 4 ? 32 : 64);
    const memory: Memory = { ...holding(grace, entry[family]), connections: 3 };

    test("is limited and listed as an offender, and not banned", () => {
      assert.equal(verdictOf([policy], opening, memory), "tcp-reset");
      const { stamped, added } = walkPacket(compile([policy]), opening, memory);
      assert.deepEqual([stamped, added], [[activityName(family), offenders(policy)[0]], []]);
    });

    test("gets no connection more than anybody else, and stays banned by operators", () => {
      assert.equal(verdictOf([policy], opening, { ...memory, connections: 2 }), "passed");
      assert.equal(verdictOf([policy], established, holding(operatorName(family), from)), "tcp-reset");
    });

    test("is refused in the way of the policy", () => {
      assert.equal(verdictOf([{ ...policy, rejectWith: "drop" }], opening, memory), "drop");
    });
  });

  describe(`${where}, an operator's ban`, () => {
    test("refuses every protocol, with a reset for TCP", () => {
      const memory = holding(operatorName(family), from);
      assert.equal(verdictOf([], opening, memory), "tcp-reset");
      assert.equal(verdictOf([], { from, protocol: "udp", port: 53 }, memory), "port-unreachable");
    });

    test("is found in the set, networks too, where there is one, and never written to by packets", () => {
      const network = family === 4 ? "203.0.0.0/16" : "2001:db8::/32";
      const inSet: Memory = { inSets: { [operatorName(family)]: [network] }, connections: 9 };
      const journey = walkPacket(compile([samplePolicy({ ban: classicBan })]), opening, inSet);
      assert.equal(journey.verdict, "tcp-reset");
      assert.equal([...journey.stamped, ...journey.added.map(({ set }) => set)].includes(operatorName(family)), false);
      if (withSets) assert.deepEqual([journey.stamped, journey.added], [[], []]);
    });

    test("lets neighbour discovery go on", () => {
      for (const icmpv6Type of family === 6 ? [135, 136] : []) {
        const packet = { from, protocol: "ipv6-icmp", icmpv6Type } as const;
        assert.equal(verdictOf([], packet, holding(operatorName(family), from)), "passed");
      }
    });
  });

  test(`${where}, the kernel's clock and the mark of activity can be read from a chain that no packet meets`, () => {
    const chains = compile([samplePolicy({ ban: classicBan })]);
    const lists = chains
      .get("CLD-CANARY")
      ?.flatMap((rule) => rule.matches.flatMap((match) => ("list" in match ? match.list : [])));
    assert.deepEqual(lists, [canaryName(family), activityName(family)]);
    const leadingThere = [...chains.values()].flat().filter(({ target }) => "chain" in target && target.chain === "CLD-CANARY");
    assert.deepEqual(leadingThere, []);
  });
}

describe("with ipset, a source over the limit", () => {
  const secondsOf = (policy: Policy) => {
    const input = { family: 4, policies: [policy], protectedNetworks: [], withSets: true, retired: [] } as const;
    return walkPacket(compileRuleset(input), { from: client[4], port: 3306, opens: true }, { connections: 9 }).added;
  };

  test("is banned for the ban's seconds, and remembered as an offender as long, so that the two can be told to belong together", () => {
    assert.deepEqual(
      secondsOf(samplePolicy({ ban: { ...classicBan, seconds: 77 } })).map(({ seconds }) => seconds),
      [77, 77],
    );
  });

  test("is remembered for a day where no ban says how long it matters", () => {
    for (const policy of [samplePolicy(), samplePolicy({ ban: classicBan, mode: "observe" })]) {
      assert.deepEqual(secondsOf(policy), [{ set: "cld4-w32-mysql", seconds: 86_400 }]);
    }
  });

  test("is banned in a list where the ban is longer than a set can keep time", () => {
    const policy = samplePolicy({ ban: { ...classicBan, seconds: 4_000_000 } });
    assert.deepEqual(secondsOf(policy), [{ set: "cld4-w32-mysql", seconds: 2_147_483 }]);
    assert.equal(memoryOf(policy), 2_147_483);
  });
});

test("a network is exempt when the policy exempts all of it", () => {
  const policy = samplePolicy({ exempt: ["10.0.0.0/8", "2001:db8::/48"] });
  assert.equal(isExempt(policy, parseNetwork("10.1.0.0/16")), true);
  assert.equal(isExempt(policy, parseNetwork("2001:db8::/32")), false);
  assert.equal(isExempt(policy, parseNetwork("192.0.2.1")), false);
});
