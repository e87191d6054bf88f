// Writes docs/reliability.md from what the benches measured last: node scripts/generate-reliability-doc.ts
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** One line of bench/figures/NAME.jsonl, as bench/figures.ts writes it. */
interface Measured {
  readonly promise: string;
  readonly test: string;
  readonly figure: string;
  /** When, in RFC 3339. */
  readonly measured: string;
}

const root = join(import.meta.dirname, "..");
const figures = join(root, "bench/figures");

const head = `# Reliability

What the service promises about faults and crashes, what shows it, and the last figure. The scripts under \`bench/\` measure; this page is
generated from their figures (\`bench/figures/*.jsonl\`) by \`node scripts/generate-reliability-doc.ts\`. Short forms of the same run with
\`npm test\`.

| promise | shown by | last figure | measured |
| --- | --- | --- | --- |
`;

/** @throws {TypeError} for a line that is no figure */
function measuredFrom(line: string, file: string): Measured {
  const value: unknown = JSON.parse(line);
  const fields = ["promise", "test", "figure", "measured"] as const;
  const isMeasured = (one: unknown): one is Measured =>
    typeof one === "object" && one !== null && fields.every((field) => field in one);
  if (!isMeasured(value)) throw new TypeError(`${file}: not a figure: ${line}`);
  return value;
}

function row({ promise, test, figure, measured }: Measured): string {
  const cells = [promise, `\`${test}\``, figure, measured.slice(0, 10)];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
}

const files = readdirSync(figures).filter((name) => name.endsWith(".jsonl"));
const rows = files.sort().flatMap((name) =>
  readFileSync(join(figures, name), "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => row(measuredFrom(line, name))),
);
writeFileSync(join(root, "docs/reliability.md"), head + rows.join(""));
