import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "../../test/support/service.ts";
import { type Finding, verdictOf } from "./finding.ts";
import { growthPlots, isGrowth } from "./growth-plots.ts";
import { svgOf } from "./plot.ts";
import { markdownTable } from "./table.ts";

/** A bench that came to no end. */
export interface Failure {
  readonly name: string;
  readonly backend: string;
  readonly reason: string;
}

export interface Report {
  readonly machine: string;
  readonly findings: readonly Finding[];
  readonly failures: readonly Failure[];
  readonly rounds: number;
  readonly when: Date;
}

const [from, to] = ["<!-- figures: written by npm run bench -->", "<!-- end of figures -->"];

/** Writes the tables into docs/benchmarks.md, whose other words stay, the plot beside it, and what was measured as JSON. */
export async function writeReport(report: Report): Promise<void> {
  const file = join(root, "docs/benchmarks.md");
  await writeFile(file, withFigures(await readFile(file, "utf8"), report));
  await writeFile(join(root, "docs/benchmarks.svg"), svgOf(growthPlots(report.findings)));
  await mkdir(join(root, "bench/figures"), { recursive: true });
  await writeFile(join(root, "bench/figures/benchmarks.json"), `${JSON.stringify(report, null, 1)}\n`);
}

/** The document with these figures between its marks. @throws {Error} when it has no marks */
export function withFigures(document: string, { machine, findings, failures, rounds, when }: Report): string {
  const [before, rest] = document.split(from);
  const after = rest?.split(to)[1];
  if (before === undefined || after === undefined) throw new Error(`the document has no ${from} ... ${to}`);
  const judged = findings.map(verdictOf);
  const short = judged.filter((verdict) => verdict === "short").length;
  const bars = judged.filter((verdict) => verdict !== "").length;
  const part = [
    from,
    "",
    `${machine}; ${when.toISOString().slice(0, 10)}; ${rounds} alternating rounds; ${bars - short} of ${bars} bars are reached.`,
    ...failures.map(({ name, backend, reason }) => `Not measured: ${name} on ${backend}: ${reason.split("\n", 1)[0]}.`),
    "",
    markdownTable(findings.filter((one) => !isGrowth(one))),
    "",
    "## How cost grows",
    "",
    "![Apply time, list time and memory by number of policies and bans](benchmarks.svg)",
    "",
    "Both axes are logarithmic: a line that rises no steeper than the dashed one is linear or better.",
    "",
    markdownTable(findings.filter(isGrowth)),
    "",
    to,
  ];
  return `${before}${part.join("\n")}${after}`;
}
