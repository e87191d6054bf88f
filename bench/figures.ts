// Where the benches leave what they measured, for docs/reliability.md.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** One promise and what was measured of it. */
export interface Figure {
  readonly promise: string;
  readonly figure: string;
}

/** Writes `bench/figures/NAME.json`, as of now. */
export async function writeFigures(name: string, figures: readonly Figure[]): Promise<void> {
  const measured = new Date().toISOString();
  const shownBy = `bench/${name}.ts`;
  const directory = join(import.meta.dirname, "figures");
  await mkdir(directory, { recursive: true });
  const rows = figures.map(({ promise, figure }) => ({ promise, shownBy, figure, measured }));
  await writeFile(join(directory, `${name}.json`), `${JSON.stringify(rows, null, 2)}\n`);
}

/** The 99th percentile, of the nearest rank. */
export function p99(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * 0.99) - 1)] ?? Number.NaN;
}
