// Keeps what a bench measured, as one JSON line for each promise, for docs/reliability.md: node scripts/generate-reliability-doc.ts
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** One measured promise. */
export interface Figure {
  /** What holds, as a sentence. */
  readonly promise: string;
  /** The command or test that shows it. */
  readonly test: string;
  /** What came out, with its unit. */
  readonly figure: string;
}

const directory = join(import.meta.dirname, "figures");

/** Replaces the figures of one bench. */
export function writeFigures(bench: string, figures: readonly Figure[]): void {
  const measured = new Date().toISOString();
  mkdirSync(directory, { recursive: true });
  const lines = figures.map((figure) => `${JSON.stringify({ ...figure, measured })}\n`);
  writeFileSync(join(directory, `${bench}.json`), lines.join(""));
}
