import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Family } from "../../../src/domain/network.ts";
import type { Policy } from "../../../src/domain/policy.ts";
import { ruleText } from "../../../src/netfilter/iptables/rule-text.ts";
import { chainsOfPolicy, compileRuleset } from "../../../src/netfilter/iptables/ruleset.ts";
import { parseSavedBeside, parseSavedTable, type SavedTable } from "../../../src/netfilter/iptables/saved-table.ts";
import { chainsText, withKnown } from "../../../src/netfilter/iptables/standing-chains.ts";
import { diffTable } from "../../../src/netfilter/iptables/table-diff.ts";
import { samplePolicy } from "../../support/samples.ts";
import { emptyTable, printTable, restoreLines, type TableModel } from "../../support/table-model.ts";
import { somePolicies } from "../some-policies.ts";
import { vandalised, vandalism } from "./vandalised-tables.ts";

const active = (policies: readonly Policy[]) => policies.filter(({ mode }) => mode !== "off");
const namesOf = (policies: readonly Policy[]) => new Set(policies.map(({ name }) => name));

function tableOf(policies: readonly Policy[], family: Family): TableModel {
  const chains = compileRuleset({ family, policies, protectedNetworks: [], withSets: true, retired: [] });
  const { lines } = diffTable(parseSavedTable(printTable(emptyTable())), chains, family);
  return restoreLines(emptyTable(), lines.join("\n"));
}

/** What a reading tells that left nothing out. */
function withStanding(table: SavedTable, policies: readonly Policy[], family: Family): unknown {
  const { own, standing = new Set(), ...rest } = table;
  const left = policies.filter(({ name }) => standing.has(name)).flatMap((policy) => chainsOfPolicy(policy, family, true));
  const texts = left.map(([chain, rules]) => [chain, rules.map((rule) => ruleText(rule, family))] as const);
  for (const [chain] of left) assert.ok(!own.has(chain), chain);
  return { ...rest, own: new Map([...own, ...texts]) };
}

function read(printed: string, known: readonly Policy[], current = namesOf(known), family: Family = 4): SavedTable {
  return parseSavedBeside(printed, chainsText(active(known), family), current);
}

test("whatever the kernel has, what is left out of a reading and what is in it are all of it", () => {
  const cases = fc.record({
    known: somePolicies(6),
    present: somePolicies(6),
    /** How many policies the kernel has as they are known. */
    same: fc.nat({ max: 6 }),
    acts: vandalism,
    forgotten: fc.nat({ max: 6 }),
    family: fc.constantFrom(4 as const, 6 as const),
  });
  fc.assert(
    fc.property(cases, ({ known, present, same, acts, forgotten, family }) => {
      const held = [...known.slice(0, same), ...present.slice(same)];
      const printed = printTable(vandalised(tableOf(held, family), acts));
      const current = namesOf(active(known).filter((_, index) => index !== forgotten));
      const found = read(printed, known, current, family);
      assert.deepEqual(withStanding(found, known, family), parseSavedTable(printed));
      for (const name of found.standing ?? []) assert.ok(current.has(name));
    }),
    { numRuns: 300 },
  );
});

describe("of a thousand policies", () => {
  const many = Array.from({ length: 1000 }, (_, n) => samplePolicy({ name: `p-${n}`, ports: [1000 + n] })).sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
  const table = tableOf(many, 4);
  const standingAfter = (...lines: readonly string[]) => {
    const after = restoreLines(table, ["*filter", ...lines, "COMMIT"].join("\n"));
    const found = read(printTable(after), many);
    assert.deepEqual(withStanding(found, many, 4), parseSavedTable(printTable(after)));
    return namesOf(many).difference(found.standing ?? new Set());
  };
  const rule = "-p udp -j ACCEPT";

  test("all are left out where nothing has changed", () => {
    assert.deepEqual(standingAfter(`-A INPUT ${rule}`), new Set());
  });

  for (const [what, lines, names] of [
    ["a rule is taken out", ["-D CLD-O-p-500 1"], ["p-500"]],
    ["a rule is added at the end", [`-A CLD-P-p-1 ${rule}`], ["p-1"]],
    ["a rule is added at the end of the last chain", [`-A CLD-P-p-999 ${rule}`], ["p-999"]],
    ["a rule is added at the beginning of the first chain", [`-I CLD-O-p-0 1 ${rule}`], ["p-0"]],
    ["a chain is empty", ["-F CLD-P-p-77"], ["p-77"]],
    ["the last chain is empty", ["-F CLD-P-p-999"], ["p-999"]],
    [
      "the first and the last are gone",
      ["-F CLD-NEW", "-F CLD-P-p-0", "-F CLD-P-p-999", "-F CLD-O-p-0", "-X CLD-O-p-0"],
      ["p-0", "p-999"],
    ],
    ["somebody made chains between them", [":CLD-O-p-1a - [0:0]", `-A CLD-O-p-1a ${rule}`, ":CLD-OO - [0:0]"], []],
  ] as const) {
    test(`those are looked at where ${what}`, () => {
      assert.deepEqual(standingAfter(...lines), new Set(names));
    });
  }

  test("none is left out where hundreds are others", () => {
    const lines = many.slice(0, 400).map(({ name }) => `-F CLD-P-${name}`);
    assert.equal(standingAfter(...lines).size, 1000);
  });
});

test("where a comment takes more than one line, all is read: its lines could look like anything", () => {
  const policies = ["a", "b"].map((name, index) => samplePolicy({ name, ports: [80 + index], ban: null }));
  const table = tableOf(policies, 4);
  const comment = (text: string) =>
    printTable(table).replace("COMMIT", `-A FORWARD -m comment --comment "${text}" -j ACCEPT\nCOMMIT`);
  assert.deepEqual(read(comment("x"), policies).standing, new Set(["a", "b"]));
  const printed = comment("x\n-A CLD-P-a -j ACCEPT\ny");
  assert.deepEqual(read(printed, policies), parseSavedTable(printed));
});

test("a comment of more than one line can stand anywhere, and look like anything that is known", () => {
  const policies = ["a", "a1", "b"].map((name, index) => samplePolicy({ name, ports: [80 + index], ban: null }));
  const lines = [":CLD-O-a1 - [0:0]", ":CLD-P-a - [0:0]", "-A CLD-P-a -j ACCEPT", "COMMIT", "*filter", "-A CLD-O-b"];
  const mark = "-p tcp -m tcp --dport 7 -j ACCEPT";
  const cases = fc.record({
    chain: fc.constantFrom("INPUT", "FORWARD", "CLD-P-b", "CLD-O-a1", "CLD-P-a", "CLD-NEW"),
    comment: fc.array(fc.constantFrom(...lines, "x"), { minLength: 1, maxLength: 4 }),
    current: fc.subarray(["a", "a1", "b"]),
    gone: fc.constantFrom([], ["-F CLD-P-a"], ["-F CLD-NEW", "-F CLD-P-a1", "-F CLD-O-a1", "-X CLD-P-a1"]),
  });
  fc.assert(
    fc.property(cases, ({ chain, comment, current, gone }) => {
      const table = restoreLines(tableOf(policies, 4), ["*filter", ...gone, `-A ${chain} ${mark}`, "COMMIT"].join("\n"));
      const rule = `-m comment --comment "${["x", ...comment, "y"].join("\n")}" -j ACCEPT`;
      const printed = printTable(table).replace(mark, () => rule);
      assert.deepEqual(withStanding(read(printed, policies, new Set(current)), policies, 4), parseSavedTable(printed));
    }),
    { numRuns: 500 },
  );
});

test("a listing without any of the chains is read as a whole", () => {
  const printed = printTable(tableOf([], 4));
  assert.deepEqual(read(printed, [samplePolicy()]), parseSavedTable(printed));
});

test("an empty table that takes known chains beside the composed rest is the one that takes all of them composed", () => {
  const cases = fc.record({
    known: somePolicies(6),
    others: somePolicies(6),
    /** How many policies are as they are known. */
    same: fc.nat({ max: 6 }),
    family: fc.constantFrom(4 as const, 6 as const),
  });
  fc.assert(
    fc.property(cases, ({ known, others, same, family }) => {
      const policies = [...known.slice(0, same), ...others.slice(same)];
      const current = namesOf(active(known.slice(0, same)));
      const rest = { family, policies, protectedNetworks: [], withSets: true, retired: [], standing: current };
      const change = diffTable(parseSavedTable(printTable(emptyTable())), compileRuleset(rest), family);
      const { lines } = withKnown(change, chainsText(active(known), family), current);
      const [made, right] = [restoreLines(emptyTable(), lines.join("\n")), tableOf(policies, family)];
      assert.deepEqual(new Map(made), new Map(right));
    }),
    { numRuns: 300 },
  );
});
