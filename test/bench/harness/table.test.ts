import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readRunArguments } from "../../../bench/harness/arguments.ts";
import { finding, verdictOf } from "../../../bench/harness/finding.ts";
import { figureText, markdownTable, textTable } from "../../../bench/harness/table.ts";

const row = { work: "PUT", backend: "nft" } as const;

describe("the verdict on a finding", () => {
  it("is about the median, which may be the bar itself", () => {
    const atLeast = (figures: readonly number[]) => verdictOf(finding({ ...row, unit: "ratio", bar: { atLeast: 0.8 } }, figures));
    assert.deepEqual([atLeast([0.1, 0.8, 0.9]), atLeast([0.1, 0.79, 0.9])], ["pass", "short"]);
    const atMost = (figures: readonly number[]) => verdictOf(finding({ ...row, unit: "ms", bar: { atMost: 30 } }, figures));
    assert.deepEqual([atMost([1, 30, 900]), atMost([1, 30.1, 31])], ["pass", "short"]);
  });

  it("is not given where there is no bar", () => {
    assert.equal(verdictOf(finding({ ...row, unit: "ms" }, [1])), "");
  });
});

describe("the table", () => {
  const findings = [
    finding({ ...row, unit: "ratio", bar: { atLeast: 0.8 } }, [0.5, 0.7, 0.9]),
    finding({ ...row, work: "start", unit: "s", bar: { atMost: 2 }, note: "empty kernel" }, [1.234]),
  ];

  it("has one line for each finding, in columns", () => {
    assert.deepEqual(textTable(findings).split("\n"), [
      "work                  backend  median  quartiles         rounds  bar",
      "PUT                   nft      0.70    0.60 to 0.80      3       ≥ 0.80    short",
      "start (empty kernel)  nft      1.23 s  1.23 s to 1.23 s  1       ≤ 2.00 s  pass",
    ]);
  });

  it("is the same in Markdown", () => {
    const [head, rule, first] = markdownTable(findings).split("\n");
    assert.equal(head, "| work | backend | median | quartiles | rounds | bar |  |");
    assert.equal(rule, "| --- | --- | --- | --- | --- | --- | --- |");
    assert.equal(first, "| PUT | nft | 0.70 | 0.60 to 0.80 | 3 | ≥ 0.80 | short |");
  });

  it("gives figures as many digits as they deserve", () => {
    assert.deepEqual(
      [
        figureText(0.946, "ratio"),
        figureText(4.04, "ms"),
        figureText(23.7, "us"),
        figureText(6362.4, "ms"),
        figureText(3, "count"),
      ],
      ["0.95", "4.0 ms", "23.7 µs", "6,362 ms", "3"],
    );
  });
});

describe("the arguments of npm run bench", () => {
  it("are a full run of both backends, which writes what it found, unless they say otherwise", () => {
    const { rounds, backends, only, writes } = readRunArguments([]);
    assert.ok(rounds >= 7);
    assert.deepEqual({ backends, only, writes }, { backends: ["nft", "legacy"], only: [], writes: true });
  });

  it("of a part or a quick run leave the documents alone", () => {
    for (const args of [["--only", "packets"], ["--quick"], ["--backend", "nft"], ["--dry"]])
      assert.equal(readRunArguments(args).writes, false, args.join(" "));
  });

  it("that are not known are refused", () => {
    for (const args of [["--backend", "ebtables"], ["--rounds", "0"], ["--fast"]])
      assert.throws(() => readRunArguments(args), TypeError, args.join(" "));
  });
});
