import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { printedLines, withoutTexts } from "../../../src/netfilter/iptables/printed-lines.ts";
import { parseListedTable, parseRulesByTable, parseSavedTable } from "../../../src/netfilter/iptables/saved-table.ts";

const commented = (comment: string) => `-A INPUT -m comment --comment "${comment}" -j DROP`;
const own = ["-A CLD-INPUT -s 10.0.0.0/8 -j RETURN", "-A CLD-INPUT -j DROP"];

describe("a rule is one line", () => {
  const comments: readonly (readonly [string, string])[] = [
    ["of two lines", "one\ntwo"],
    [
      "whose lines look like rules, chains and the end of a table",
      "x\n-A CLD-INPUT -j ACCEPT\n:CLD-INPUT - [0:0]\nCOMMIT\n# y\n\nz",
    ],
    ["with quotes that are its own", `${String.raw`say \"no\" -j ACCEPT`}\n${String.raw`\" -j ACCEPT`}`],
    ["that ends with a backslash", `a\n${"\\".repeat(2)}`],
    ["of 255 quotes and line breaks", String.raw`\"`.repeat(127) + "\n".repeat(128)],
    ["of a line break and 254 quotes", `\n${String.raw`\"`.repeat(254)}`],
  ];
  for (const [name, comment] of comments)
    test(`whose comment is one ${name}`, () => {
      const rule = commented(comment);
      assert.deepEqual(printedLines([rule, ...own].join("\n")), [rule, ...own]);
    });

  test("with two long texts of several lines, and much behind them", () => {
    const [text, more] = [`a\n${"b".repeat(253)}`, ` -m bpf --bytecode "${"1 2 3 4,".repeat(90)}" -j DROP`];
    const rule = `-A INPUT -m comment --comment "${text}" -m comment --comment "\n-A CLD-INPUT -j ACCEPT\n# "${more}`;
    assert.deepEqual(printedLines([rule, ...own].join("\n")), [rule, ...own]);
  });

  test("with two texts of which the second has several lines", () => {
    const rule = '-A INPUT -m comment --comment "a b" -j LOG --log-prefix "one\ntwo "';
    assert.deepEqual(printedLines([rule, ...own].join("\n")), [rule, ...own]);
  });
});

describe("a quote that nothing ends takes no rule of this service away:", () => {
  const lines: readonly (readonly [string, string])[] = [
    [
      "a pattern of the match string that ends with a backslash, as older versions print it",
      String.raw`-A INPUT -m string --string "a\" --algo bm -j DROP`,
    ],
    ["the name of an interface", '-A INPUT -i "eth0 -j DROP'],
    ["a quote within a name", '-A INPUT -i a"b -j DROP'],
  ];
  for (const [name, line] of lines)
    test(name, () => {
      const printed = [line, ...Array.from({ length: 9 }, () => own).flat(), commented("later")];
      assert.deepEqual(printedLines(printed.join("\n")), printed);
    });

  test("a name that begins with one, before a comment of the next rule", () => {
    const printed = ['-A PREROUTING -i "q -j DROP', '-A PREROUTING -m comment --comment " note" -j ACCEPT'];
    assert.deepEqual(printedLines(printed.join("\n")), printed);
  });

  test("a text that is cut off", () => {
    const printed = `${commented("a").slice(0, -10)}\nb`;
    assert.deepEqual(printedLines([printed, ...own].join("\n")), [printed, ...own]);
  });
});

describe("a name that iptables prints without quotes", () => {
  const rule = "-A INPUT -m recent --rcheck --name a\nb -j ACCEPT --mask 255.255.255.255 --rsource -j DROP";
  test("may have line breaks, also two, and at its end", () => {
    const rules = [
      rule,
      "-A INPUT -m hashlimit --hashlimit-name h\n\n\nk\nl -j DROP",
      "-A INPUT -j IDLETIMER --timeout 5 --label l\nm",
    ];
    for (const order of [rules, rules.toReversed()])
      assert.deepEqual(printedLines(["-P INPUT ACCEPT", ...order, ...own].join("\n")), ["-P INPUT ACCEPT", ...order, ...own]);
  });

  test("may stand beside a comment of several lines", () => {
    const both = `${rule} -m comment --comment "one\ntwo" -i x\ny`;
    assert.deepEqual(printedLines([both, ...own].join("\n")), [both, ...own]);
  });

  test("is recognised before another table, and at the end of one", () => {
    const lines = ["*filter", rule, "COMMIT", "# Completed", "*nat", rule, "COMMIT", ""];
    assert.deepEqual(printedLines(lines.join("\n")), lines);
  });

  test("is none where nothing of others stands above it", () => {
    for (const line of ["*filter", own[0], ":INPUT ACCEPT [0:0]", "-P INPUT ACCEPT"])
      assert.deepEqual(printedLines(`${line}\nrest`), [line, "rest"]);
  });
});

test("without texts a rule shows what it asks for and does, and nothing that a user wrote", () => {
  assert.equal(withoutTexts(commented(`${String.raw`\" -j CLD-INPUT`}\n -g X`)), commented(""));
  assert.equal(withoutTexts('-A X -i "a -j Y'), '-A X -i "a -j Y');
  assert.equal(withoutTexts("-A X -j Y"), "-A X -j Y");
});

describe("tables with comments of several lines", () => {
  const rule = commented("a\n-A CLD-INPUT -j ACCEPT\nb");
  test("are read from a save and from a list", () => {
    const chains = [":INPUT ACCEPT [0:0]", ":CLD-INPUT - [0:0]"];
    const saved = parseSavedTable(["*filter", ...chains, rule, ...own, "COMMIT", ""].join("\n"));
    const listed = parseListedTable(["-P INPUT ACCEPT", "-N CLD-INPUT", rule, ...own, ""].join("\n"));
    for (const { input, own: chains } of [saved, listed]) {
      assert.deepEqual(input, [rule.slice("-A INPUT ".length)]);
      assert.deepEqual(chains.get("CLD-INPUT"), ["-s 10.0.0.0/8 -j RETURN", "-j DROP"]);
    }
  });

  test("are told from each other by another line of a comment", () => {
    const listed = (comment: string) => parseListedTable(["-P INPUT ACCEPT", commented(comment)].join("\n")).foreign;
    assert.notEqual(listed("a\nb"), listed("a\nc"));
  });

  test("hold no reference to an own chain that stands in a comment alone", () => {
    assert.deepEqual([...parseListedTable(`-N CLD-INPUT\n${commented("see -j CLD-INPUT")}`).referenced], []);
  });

  test("are found under the line above them", () => {
    const text = ["# mark raw", "-P PREROUTING ACCEPT", rule, "# mark mangle", own[0]].join("\n");
    assert.deepEqual(
      parseRulesByTable(text, "# mark "),
      new Map([
        ["raw", [rule]],
        ["mangle", [own[0]]],
      ]),
    );
  });
});
