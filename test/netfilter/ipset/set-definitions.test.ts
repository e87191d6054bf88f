import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseSavedSets } from "../../../src/netfilter/ipset/saved-sets.ts";
import { setDefinitions } from "../../../src/netfilter/ipset/set-definitions.ts";
import { banHomes } from "../../../src/netfilter/iptables/ban-rules.ts";
import { compileRuleset } from "../../../src/netfilter/iptables/ruleset.ts";
import { samplePolicy } from "../../support/samples.ts";
import { createSimulatedIpset } from "../../support/simulated-ipset.ts";
import { createTestClock } from "../../support/test-clock.ts";
import { classicBan, somePolicies } from "../some-policies.ts";

const family = fc.constantFrom(4 as const, 6 as const);

function definitions(of: 4 | 6, policies: Parameters<typeof setDefinitions>[1]) {
  const active = policies.filter((policy) => policy.mode !== "off");
  return setDefinitions(of, policies, banHomes({ family: of, policies: active, withSets: true, retired: [] }));
}

describe("the sets that this service needs", () => {
  test("are without policies those of the operators and of those who have grace, which hold networks", () => {
    assert.deepEqual(
      definitions(4, []).map(({ name, words }) => [name, words]),
      [
        ["cld4-operator", "hash:net family inet hashsize 64 maxelem 262144 timeout 0"],
        ["cld4-grace", "hash:net family inet hashsize 64 maxelem 65536 timeout 0"],
      ],
    );
  });

  test("are with a policy its home and its offenders too, by the prefix that it counts by", () => {
    assert.deepEqual(
      definitions(6, [samplePolicy({ ban: classicBan })])
        .slice(2)
        .map(({ name, words }) => [name, words]),
      [
        ["cld6-h64ro-all", "hash:ip family inet6 netmask 64 hashsize 65536 maxelem 262144 timeout 0"],
        ["cld6-w64-mysql", "hash:ip family inet6 netmask 64 hashsize 1024 maxelem 65536 timeout 0"],
      ],
    );
  });

  test("begin large enough for a botnet where packets write to them: the kernel makes no set larger for a packet", () => {
    for (const { name, words } of definitions(4, [samplePolicy({ ban: classicBan })])) {
      const buckets = Number(/hashsize (\d+)/.exec(words)?.[1]);
      if (name !== "cld4-operator" && name !== "cld4-grace") assert.ok(buckets >= 1024, words);
    }
  });

  test("are not those of a policy that is off, nor a home of one that only observes", () => {
    const names = (mode: "off" | "observe") => definitions(4, [samplePolicy({ ban: classicBan, mode })]).map(({ name }) => name);
    assert.deepEqual(names("off"), ["cld4-operator", "cld4-grace"]);
    assert.deepEqual(names("observe"), ["cld4-operator", "cld4-grace", "cld4-w32-mysql"]);
  });

  test("are not homes that are lists", () => {
    const long = samplePolicy({ ban: { ...classicBan, seconds: 4_000_000 } });
    assert.deepEqual(
      definitions(4, [long]).map(({ name }) => name),
      ["cld4-operator", "cld4-grace", "cld4-w32-mysql"],
    );
  });

  test("are taken by ipset, and read back they have the shape that they are to have", async () => {
    await fc.assert(
      fc.asyncProperty(somePolicies(), family, async (policies, of) => {
        const wanted = definitions(of, policies);
        const ipset = createSimulatedIpset({ clock: createTestClock() });
        ipset.edit(...wanted.map(({ name, words }) => `create ${name} ${words}`));
        const saved = parseSavedSets((await ipset.run("ipset", ["save"])).stdout);
        assert.equal(saved.size, wanted.length);
        for (const { name, shape } of wanted) assert.equal(saved.get(name)?.shape, shape);
      }),
    );
  });

  test("are exactly those that the rules name", () => {
    fc.assert(
      fc.property(somePolicies(), family, (policies, of) => {
        const rules = [
          ...compileRuleset({ family: of, policies, protectedNetworks: [], withSets: true, retired: [] }).values(),
        ].flat();
        const matched = rules.flatMap((rule) => rule.matches.flatMap((match) => (match.kind === "set" ? match.set : [])));
        const filled = rules.flatMap(({ target }) => (target.kind === "add-to-set" ? target.set : []));
        const named = new Set([...matched, ...filled, of === 4 ? "cld4-grace" : "cld6-grace"]);
        assert.deepEqual(
          definitions(of, policies)
            .map(({ name }) => name)
            .sort(),
          [...named].sort(),
        );
      }),
    );
  });
});
