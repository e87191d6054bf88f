import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Family } from "../../../src/domain/network.ts";
import { type Chains, entryChain } from "../../../src/netfilter/iptables/rule.ts";
import { compileRuleset } from "../../../src/netfilter/iptables/ruleset.ts";
import { isOwnJump, parseSavedTable } from "../../../src/netfilter/iptables/saved-table.ts";
import { diffTable } from "../../../src/netfilter/iptables/table-diff.ts";
import { emptyTable, printTable, restoreLines, type TableModel } from "../../support/table-model.ts";
import { somePolicies } from "../some-policies.ts";
import { changed, deleted, inserted, jumps, ownChains, vandalised, vandalism } from "./vandalised-tables.ts";

const family: fc.Arbitrary<Family> = fc.constantFrom(4, 6);
const { numRuns } = { numRuns: 150 };

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
      const found = vandalised(bring(emptyTable(), rulesetOf(before, of), of), acts);
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
      const found = vandalised(bring(emptyTable(), rulesetOf(before, of), of), acts);
      for (const desired of [rulesetOf(after, of), null]) assertSameInstances(foreign(bring(found, desired, of)), foreign(found));
    }),
    { numRuns },
  );
});

test("a purge leaves no own rule, and own chains only where a foreign rule leads to them", () => {
  fc.assert(
    fc.property(somePoliciesTwice, ({ before, acts, family: of }) => {
      const purged = bring(vandalised(bring(emptyTable(), rulesetOf(before, of), of), acts), null, of);
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
      const found = vandalised(bring(emptyTable(), desired, of), done);
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
