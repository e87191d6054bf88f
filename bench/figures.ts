// Keeps what a bench measured, as one JSON line for each promise, for docs/reliability.md: node scripts/generate-reliability-doc.ts
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** One measured promise. */
export interface Figure {
  /** What holds, as a sentence. */
  readonly promise: string;
  /** The command or test that shows it; without it, the bench. */
  readonly test?: string;
  /** What came out, with its unit. */
  readonly figure: string;
}

const directory = join(import.meta.dirname, "figures");

/** Replaces the figures of one bench. */
export function writeFigures(bench: string, figures: readonly Figure[]): void {
  const measured = new Date().toISOString();
  mkdirSync(directory, { recursive: true });
  const lines = figures.map(
    ({ promise, figure, test = `bench/${bench}.ts` }) => `${JSON.stringify({ promise, test, figure, measured })}\n`,
  );
  writeFileSync(join(directory, `${bench}.jsonl`), lines.join(""));
}

/** The 99th percentile, of the nearest rank. */
export function p99(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * 0.99) - 1)] ?? Number.NaN;
}
