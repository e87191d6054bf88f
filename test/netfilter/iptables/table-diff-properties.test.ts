import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Family } from "../../../src/domain/network.ts";
import { type Chains, entryChain } from "../../../src/netfilter/iptables/rule.ts";
import { compileRuleset } from "../../../src/netfilter/iptables/ruleset.ts";
import { isOwnJump, parseSavedTable } from "../../../src/netfilter/iptables/saved-table.ts";
import { diffTable } from "../../../src/netfilter/iptables/table-diff.ts";
import {
  emptyTable,
  printTable,
  RestoreError,
  type RuleInstance,
  restoreLines,
  type TableModel,
} from "../../support/table-model.ts";
import { somePolicies } from "../some-policies.ts";

/** Something that another tool, or somebody in a hurry, did to the table. The numbers pick a chain and a rule. */
type Vandalism = (table: TableModel) => readonly string[];

const pick = fc.nat({ max: 10_000 });

function ownChains(table: TableModel): readonly string[] {
  return [...table.keys()].filter((name) => name.startsWith("CLD-"));
}

function at<T>(items: readonly T[], index: number): T | undefined {
  return items.length === 0 ? undefined : items[index % items.length];
}

/** Acts on one rule of one own chain that has any. */
function onOwnRule(
  act: (chain: string, position: number, rule: string, length: number) => readonly string[],
): fc.Arbitrary<Vandalism> {
  return fc.tuple(pick, pick).map(([chainPick, rulePick]) => (table) => {
    const chain = at(
      ownChains(table).filter((name) => (table.get(name) ?? []).length > 0),
      chainPick,
    );
    const rules = (chain === undefined ? undefined : table.get(chain)) ?? [];
    const rule = at(rules, rulePick);
    return chain === undefined || rule === undefined ? [] : act(chain, 1 + (rulePick % rules.length), rule.text, rules.length);
  });
}

const deleted = onOwnRule((chain, position) => [`-D ${chain} ${position}`]);
const inserted = onOwnRule((chain, position) => [`-I ${chain} ${position} -p udp -j ACCEPT`]);
const changed = onOwnRule((chain, position, rule) => [`-D ${chain} ${position}`, `-I ${chain} ${position} -i eth0 ${rule}`]);
const doubled = onOwnRule((chain, position, rule) => [`-I ${chain} ${position} ${rule}`]);
const moved = onOwnRule((chain, position, rule, length) => [
  `-D ${chain} ${position}`,
  `-I ${chain} ${1 + ((position * 7) % length)} ${rule}`,
]);
const flushed = onOwnRule((chain) => [`-F ${chain}`]);
const unknownChain = fc.tuple(pick, fc.boolean()).map(
  ([number, busy]): Vandalism =>
    () => [`:CLD-X${number % 3} - [0:0]`, ...(busy ? [`-A CLD-X${number % 3} -j CLD-X${number % 3}`] : [])],
);
const foreignRule = fc.tuple(fc.constantFrom("INPUT", "FORWARD", "OUTPUT"), pick).map(
  ([chain, number]): Vandalism =>
    (table) => [`-I ${chain} ${1 + (number % ((table.get(chain) ?? []).length + 1))} -p tcp -m tcp --dport ${number} -j ACCEPT`],
);
const foreignReference = pick.map(
  (number): Vandalism =>
    (table) => [`-A FORWARD -s 192.0.2.${number % 256}/32 -j ${at(ownChains(table), number) ?? "ACCEPT"}`],
);
const foreignChain = pick.map(
  (number): Vandalism =>
    () => [`:f2b-${number} - [0:0]`, `-A f2b-${number} -j RETURN`, `-A INPUT -p tcp -j f2b-${number}`],
);
const jumpGone: Vandalism = (table) => jumps(table).map((rule) => `-D INPUT ${rule.text}`);
const jumpDoubled: Vandalism = (table) => jumps(table).map((rule) => `-A INPUT ${rule.text}`);

const vandalism: fc.Arbitrary<readonly Vandalism[]> = fc.array(
  fc.oneof(
    deleted,
    inserted,
    changed,
    doubled,
    moved,
    flushed,
    unknownChain,
    foreignRule,
    foreignReference,
    foreignChain,
    fc.constantFrom(jumpGone, jumpDoubled),
  ),
  { maxLength: 12 },
);

const family: fc.Arbitrary<Family> = fc.constantFrom(4, 6);
const { numRuns } = { numRuns: 150 };

function apply(table: TableModel, acts: readonly Vandalism[]): TableModel {
  return acts.reduce((before, act) => {
    const lines = act(before);
    if (lines.length === 0) return before;
    try {
      return restoreLines(before, ["*filter", ...lines, "COMMIT"].join("\n"));
    } catch (error) {
      if (error instanceof RestoreError) return before;
      throw error;
    }
  }, table);
}

function jumps(table: TableModel): readonly RuleInstance[] {
  return (table.get("INPUT") ?? []).filter((rule) => isOwnJump(rule.text));
}

function linesFor(table: TableModel, desired: Chains | null, of: Family): readonly string[] {
  return diffTable(parseSavedTable(printTable(table)), desired, of).lines;
}

function bring(table: TableModel, desired: Chains | null, of: Family): TableModel {
  const lines = linesFor(table, desired, of);
  return lines.length === 0 ? table : restoreLines(table, lines.join("\n"));
}

/** What is not this service's, rule instances and all. */
function foreign(table: TableModel): readonly unknown[] {
  return [...table]
    .filter(([name]) => !name.startsWith("CLD-"))
    .map(([name, rules]) => [name, rules.filter((rule) => !isOwnJump(rule.text))]);
}

/** Own chains that a rule of others leads to. */
function leadsHere(table: TableModel, chain: string): boolean {
  return [...table].some(([name, rules]) => !name.startsWith("CLD-") && rules.some((rule) => rule.text.endsWith(` -j ${chain}`)));
}

const somePoliciesTwice = fc.record({ before: somePolicies(5), after: somePolicies(5), acts: vandalism, family });

function rulesetOf(policies: Parameters<typeof compileRuleset>[0]["policies"], of: Family): Chains {
  return compileRuleset({ family: of, policies, protectedNetworks: [], withSets: policies.length % 2 === 0, retired: [] });
}

test("whatever was done to a table, the lines make it as desired and a second look finds nothing to do", () => {
  fc.assert(
    fc.property(somePoliciesTwice, ({ before, after, acts, family: of }) => {
      const desired = rulesetOf(after, of);
      const found = apply(bring(emptyTable(), rulesetOf(before, of), of), acts);
      const repaired = bring(found, desired, of);
      const ideal = bring(emptyTable(), desired, of);
      for (const [chain, rules] of ideal) if (chain.startsWith("CLD-")) assert.deepEqual(repaired.get(chain), rules);
      for (const chain of ownChains(repaired).filter((name) => !ideal.has(name))) {
        assert.deepEqual(repaired.get(chain), []);
        assert.ok(leadsHere(repaired, chain));
      }
      assert.equal(repaired.get("INPUT")?.[0]?.text.endsWith(`-j ${entryChain}`), true);
      assert.equal(jumps(repaired).length, 1);
      assert.deepEqual(linesFor(repaired, desired, of), []);
    }),
    { numRuns },
  );
});

test("whatever was done to a table, foreign rules keep their order, and none is written anew", () => {
  fc.assert(
    fc.property(somePoliciesTwice, ({ before, after, acts, family: of }) => {
      const found = apply(bring(emptyTable(), rulesetOf(before, of), of), acts);
      for (const desired of [rulesetOf(after, of), null]) assertSameInstances(foreign(bring(found, desired, of)), foreign(found));
    }),
    { numRuns },
  );
});

test("a purge leaves no own rule, and own chains only where a foreign rule leads to them", () => {
  fc.assert(
    fc.property(somePoliciesTwice, ({ before, acts, family: of }) => {
      const purged = bring(apply(bring(emptyTable(), rulesetOf(before, of), of), acts), null, of);
      assert.equal(jumps(purged).length, 0);
      for (const chain of ownChains(purged)) {
        assert.deepEqual(purged.get(chain), []);
        assert.ok(leadsHere(purged, chain));
      }
    }),
    { numRuns },
  );
});

test("rules that are in place stay the instances they were while others are deleted, inserted and changed", () => {
  const acts = fc.array(fc.oneof(deleted, inserted, changed), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(somePolicies(5), acts, family, (policies, done, of) => {
      const desired = rulesetOf(policies, of);
      const found = apply(bring(emptyTable(), desired, of), done);
      const repaired = bring(found, desired, of);
      for (const [chain, rules] of repaired) {
        const wanted = new Set(rules.map((rule) => rule.text));
        const inPlace = (found.get(chain) ?? []).filter((rule) => wanted.has(rule.text));
        for (const rule of inPlace) assert.ok(rules.includes(rule), `${chain}: ${rule.text}`);
      }
    }),
    { numRuns },
  );
});

function assertSameInstances(a: readonly unknown[], b: readonly unknown[]): void {
  const instances = (list: readonly unknown[]) => list.flat(2);
  assert.deepEqual(a, b);
  assert.ok(instances(a).every((one, index) => one === instances(b)[index]));
}
