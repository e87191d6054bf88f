import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { finding } from "../../../bench/harness/finding.ts";
import { growthPlots } from "../../../bench/harness/growth-plots.ts";
import { svgOf } from "../../../bench/harness/plot.ts";
import { withFigures } from "../../../bench/harness/report.ts";
import { growthWork } from "../../../bench/resources/growth-work.ts";

const findings = [
  finding({ work: "PUT", backend: "nft", unit: "ratio", bar: { atLeast: 0.8 } }, [0.7]),
  ...[10, 100, 1000].map((count) =>
    finding({ work: growthWork("apply one more", "policies", count), backend: "nft", unit: "ms" }, [count / 10]),
  ),
];
const report = { machine: "a machine", findings, failures: [], rounds: 7, when: new Date("2026-11-22T00:00:00Z") };
const document = "before\n<!-- figures: written by npm run bench -->\nold\n<!-- end of figures -->\nafter\n";

describe("docs/benchmarks.md", () => {
  it("keeps its own words around new figures", () => {
    const text = withFigures(document, report);
    assert.match(text, /^before\n<!-- figures/);
    assert.match(text, /<!-- end of figures -->\nafter\n$/);
    assert.doesNotMatch(text, /^old$/m);
    assert.match(text, /a machine; 2026-11-22; 7 alternating rounds; 0 of 1 bars are reached/);
    assert.match(text, /\| PUT \| nft \| 0\.70 .*short/);
  });

  it("says what could not be measured, and keeps the rest", () => {
    const failures = [{ name: "memory", backend: "legacy", reason: "Error: the service answers 202\n  at somewhere" }];
    const text = withFigures(document, { ...report, failures });
    assert.match(text, /^Not measured: memory on legacy: Error: the service answers 202\.$/m);
    assert.match(text, /\| PUT \| nft \| 0\.70/);
  });

  it("can be written again and again", () => {
    const once = withFigures(document, report);
    assert.equal(withFigures(once, report), once);
  });

  it("must have a place for them", () => {
    assert.throws(() => withFigures("nothing", report), /has no/);
  });
});

describe("the plot", () => {
  it("has a line for each backend, and one that is linear", () => {
    const [first] = growthPlots(findings);
    assert.deepEqual(first?.series, [
      {
        name: "nft",
        points: [
          [10, 1],
          [100, 10],
          [1000, 100],
        ],
      },
    ]);
    assert.ok(first);
    const svg = svgOf([first]);
    const [linear, measured] = [...svg.matchAll(/<path d="(M[^"]+)" fill="none"/g)].map((match) => match[1]);
    assert.equal(linear, "M52 190L288 28");
    assert.equal(measured, "M52 190L170 109L288 28");
  });
});
