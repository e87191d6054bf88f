import { type Bar, type Finding, type Unit, verdictOf } from "./finding.ts";

const headings = ["work", "backend", "median", "quartiles", "rounds", "bar", ""] as const;
const suffixes: Readonly<Record<Unit, string>> = {
  ratio: "",
  times: " ×",
  us: " µs",
  ms: " ms",
  s: " s",
  MB: " MB",
  count: "",
  "per second": "/s",
};

/** The findings as lines of text in columns, headings first. */
export function textTable(findings: readonly Finding[]): string {
  const rows = [headings, ...findings.map(cells)];
  const widths = headings.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return rows.map(line).join("\n");
}

/** The findings as a table in Markdown. */
export function markdownTable(findings: readonly Finding[]): string {
  const line = (row: readonly string[]): string => `| ${row.join(" | ")} |`;
  return [line(headings), line(headings.map(() => "---")), ...findings.map(cells).map(line)].join("\n");
}

/** A figure in its unit, with as many digits as it deserves. */
export function figureText(figure: number, unit: Unit): string {
  const digits = unit === "ratio" || unit === "s" ? 2 : 1;
  const isWhole = unit === "count" || Math.abs(figure) >= 100;
  return `${isWhole ? Math.round(figure).toLocaleString("en") : figure.toFixed(digits)}${suffixes[unit]}`;
}

function cells(finding: Finding): readonly string[] {
  const { work, backend, unit, spread, bar, note } = finding;
  const [lower, upper] = [spread.lowerQuartile, spread.upperQuartile].map((figure) => figureText(figure, unit));
  return [
    note === undefined ? work : `${work} (${note})`,
    backend,
    figureText(spread.median, unit),
    `${lower} to ${upper}`,
    String(spread.count),
    bar === null ? "" : barText(bar, unit),
    verdictOf(finding),
  ];
}

function barText(bar: Bar, unit: Unit): string {
  return "atLeast" in bar ? `≥ ${figureText(bar.atLeast, unit)}` : `≤ ${figureText(bar.atMost, unit)}`;
}
