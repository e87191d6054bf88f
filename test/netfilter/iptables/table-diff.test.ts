import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Chains, entryChain } from "../../../src/netfilter/iptables/rule.ts";
import { ruleText } from "../../../src/netfilter/iptables/rule-text.ts";
import { compileRuleset } from "../../../src/netfilter/iptables/ruleset.ts";
import { parseSavedTable } from "../../../src/netfilter/iptables/saved-table.ts";
import { diffTable } from "../../../src/netfilter/iptables/table-diff.ts";
import { samplePolicy } from "../../support/samples.ts";
import { emptyTable, printTable, restoreLines, rulesOf, type TableModel } from "../../support/table-model.ts";
import { classicBan } from "../some-policies.ts";

const mysql = samplePolicy({ ban: classicBan, exempt: ["10.0.0.0/8"] });
const web = samplePolicy({ name: "web", ports: [80, 443], maxConnections: 20 });

function desire(...policies: Parameters<typeof compileRuleset>[0]["policies"]): Chains {
  return compileRuleset({ family: 4, policies, protectedNetworks: [], withSets: true, retired: [] });
}

function actual(table: TableModel) {
  return parseSavedTable(printTable(table));
}

function change(table: TableModel, desired: Chains | null) {
  return diffTable(actual(table), desired, 4);
}

function bring(table: TableModel, desired: Chains | null): TableModel {
  const { lines } = change(table, desired);
  return lines.length === 0 ? table : restoreLines(table, lines.join("\n"));
}

/** What another tool does with its own `iptables-restore --noflush`. */
function meddle(table: TableModel, ...lines: readonly string[]): TableModel {
  return restoreLines(table, ["*filter", ...lines, "COMMIT"].join("\n"));
}

const desired = desire(mysql, web);
const inPlace = bring(emptyTable(), desired);
const [jump = ""] = rulesOf(inPlace, "INPUT");

test("a table that is as desired needs no lines, and nothing was found", () => {
  assert.deepEqual(change(inPlace, desired), { lines: [], found: [] });
});

test("an empty table gets every chain, and one jump at the top of INPUT", () => {
  assert.equal(rulesOf(inPlace, "INPUT").length, 1);
  for (const [chain, rules] of desired)
    assert.deepEqual(
      rulesOf(inPlace, chain),
      rules.map((rule) => ruleText(rule, 4)),
    );
});

test("the lines are one transaction on the filter table", () => {
  const { lines } = change(emptyTable(), desired);
  assert.equal(lines[0], "*filter");
  assert.equal(lines.at(-1), "COMMIT");
});

describe("the jump is put right", () => {
  const foreign = ["-p icmp -j ACCEPT", "-i lo -j ACCEPT"];
  const withForeign = meddle(inPlace, ...foreign.map((rule) => `-A INPUT ${rule}`));
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ["when it is gone", [`-D INPUT ${jump}`]],
    ["when another rule stands above it", ["-I INPUT 1 -p udp -j ACCEPT"]],
    ["when it was moved to the end", [`-D INPUT ${jump}`, `-A INPUT ${jump}`]],
    ["when it stands there twice", [`-A INPUT ${jump}`]],
    ["when it stands there twice at the top", [`-I INPUT 1 ${jump}`]],
    ["when it asks for something", [`-D INPUT ${jump}`, `-I INPUT 1 -s 192.0.2.0/24 ${jump}`]],
  ];
  for (const [name, lines] of cases) {
    test(name, () => {
      const meddled = meddle(withForeign, ...lines);
      const repaired = bring(meddled, desired);
      const others = (table: TableModel) => (table.get("INPUT") ?? []).filter((rule) => !rule.text.endsWith(jump));
      assert.deepEqual(
        rulesOf(repaired, "INPUT").filter((rule) => rule.endsWith(jump)),
        [jump],
      );
      assert.equal(rulesOf(repaired, "INPUT")[0], jump);
      assert.deepEqual(others(repaired), others(meddled));
      assert.deepEqual(change(meddled, desired).found, ["the jump was not the first rule of INPUT, once"]);
    });
  }

  test("by its words and never by a number, which might by then be somebody else's rule", () => {
    const { lines } = change(meddle(inPlace, "-I INPUT 1 -p udp -j ACCEPT"), desired);
    assert.deepEqual(lines, ["*filter", `-D INPUT ${jump}`, `-I INPUT 1 ${jump}`, "COMMIT"]);
  });
});

describe("what differs is told in words:", () => {
  test("a missing chain", () => {
    const meddled = meddle(inPlace, `-D INPUT ${jump}`, "-F CLD-INPUT", "-X CLD-INPUT");
    assert.deepEqual(change(meddled, desired).found.slice(0, 1), ["chain CLD-INPUT missing"]);
  });

  test("one rule, and several", () => {
    assert.deepEqual(change(meddle(inPlace, "-D CLD-P-mysql 1"), desired).found, ["chain CLD-P-mysql differs in 1 rule"]);
    assert.deepEqual(change(meddle(inPlace, "-F CLD-P-mysql"), desired).found, ["chain CLD-P-mysql differs in 2 rules"]);
  });

  test("a chain that nobody wants", () => {
    const meddled = meddle(inPlace, ":CLD-OLD - [0:0]", "-A CLD-OLD -j DROP");
    assert.deepEqual(change(meddled, desired), {
      lines: ["*filter", "-F CLD-OLD", "-X CLD-OLD", "COMMIT"],
      found: ["chain CLD-OLD not wanted"],
    });
  });
});

describe("a chain of its own that a foreign rule leads to", () => {
  test("is emptied and stays, since it can't be removed", () => {
    const meddled = meddle(inPlace, "-A FORWARD -j CLD-P-web");
    const after = bring(meddled, desire(mysql));
    assert.deepEqual(rulesOf(after, "CLD-P-web"), []);
    assert.deepEqual(rulesOf(after, "FORWARD"), ["-j CLD-P-web"]);
    assert.deepEqual(change(after, desire(mysql)).lines, []);
  });

  test("goes once the foreign rule is gone", () => {
    const kept = bring(meddle(inPlace, "-A FORWARD -j CLD-P-web"), desire(mysql));
    assert.equal(bring(meddle(kept, "-F FORWARD"), desire(mysql)).has("CLD-P-web"), false);
  });

  test("does not hold up the rest of a purge", () => {
    const after = bring(meddle(inPlace, "-A FORWARD -j CLD-INPUT"), null);
    assert.deepEqual([...after.keys()], ["INPUT", "FORWARD", "OUTPUT", entryChain]);
    assert.deepEqual(rulesOf(after, "INPUT"), []);
  });

  test("is told in words when it had to be emptied", () => {
    assert.deepEqual(change(meddle(inPlace, ":CLD-OLD - [0:0]", "-A CLD-OLD -j DROP", "-A FORWARD -j CLD-OLD"), desired).found, [
      "rules of chain CLD-OLD not wanted",
    ]);
  });
});

describe("a purge", () => {
  test("leaves nothing of its own", () => {
    assert.deepEqual([...bring(inPlace, null)], [...emptyTable()]);
    assert.deepEqual(change(inPlace, null).found[0], "the jump from INPUT");
  });

  test("of a host that has nothing of it writes nothing", () => {
    assert.deepEqual(change(meddle(emptyTable(), "-A INPUT -i lo -j ACCEPT"), null), { lines: [], found: [] });
  });
});

/** The table with each rule's text as another version of iptables would print it. */
function rephrased(words: string | RegExp, others = ""): TableModel {
  const texts = (rules: readonly { readonly text: string }[]) =>
    rules.map(({ text }) => ({ text: text.replaceAll(words, others) }));
  return new Map([...inPlace].map(([chain, rules]) => [chain, texts(rules)]));
}

describe("a rule in place is recognised", () => {
  for (const [what, table] of [
    ["with its options in another order", rephrased(/(-p tcp) (-m tcp --tcp-flags \S+ SYN)/g, "$2 $1")],
    ["with its comment before everything else", rephrased(/^(.+?) (-m comment --comment "\S+")/g, "$2 $1")],
    ["without the options that hold anyway", rephrased(/ --rsource| --connlimit-saddr/g)],
  ] as const) {
    test(what, () => {
      assert.notDeepEqual([...table], [...inPlace]);
      assert.deepEqual(change(table, desired), { lines: [], found: [] });
    });
  }

  test("in other words, and what differs beside it is put right all the same", () => {
    const table = meddle(rephrased(/ --rsource/g), "-F CLD-P-web");
    assert.deepEqual(change(table, desired).found, ["chain CLD-P-web differs in 1 rule"]);
  });
});

describe("a rule with our comment is taken for another", () => {
  const [counting = ""] = rulesOf(inPlace, "CLD-P-mysql").filter((rule) => rule.includes("-m connlimit"));
  const position = 1 + rulesOf(inPlace, "CLD-P-mysql").indexOf(counting);
  const cases: readonly (readonly [string, string])[] = [
    ["when a value differs", counting.replace("--connlimit-above 2", "--connlimit-above 2000")],
    ["when it leads elsewhere", counting.replace("-j CLD-O-mysql", "-j CLD-O-web")],
    ["when it asks for less", counting.replace("-p tcp ", "")],
    ["when it asks for more", `-s 192.0.2.0/24 ${counting}`],
    ["when it asks for the opposite", counting.replace("--connlimit-above 2", "! --connlimit-above 2")],
  ];
  for (const [what, rule] of cases) {
    test(what, () => {
      assert.notEqual(rule, counting);
      const meddled = meddle(inPlace, `-D CLD-P-mysql ${position}`, `-I CLD-P-mysql ${position} ${rule}`);
      assert.deepEqual(rulesOf(bring(meddled, desired), "CLD-P-mysql"), rulesOf(inPlace, "CLD-P-mysql"));
      assert.notDeepEqual(change(meddled, desired).found, []);
    });
  }

  test("when its comment is that of another rule", () => {
    const meddled = meddle(
      inPlace,
      `-D CLD-P-mysql ${position}`,
      `-I CLD-P-mysql ${position} ${counting.replace(/cld:\w+/, "cld:0")}`,
    );
    assert.deepEqual(rulesOf(bring(meddled, desired), "CLD-P-mysql"), rulesOf(inPlace, "CLD-P-mysql"));
  });
});
