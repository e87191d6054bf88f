// What the benches share: their arguments, and figures as a table.
import { parseArgs } from "node:util";
import type { Backend } from "../test/support/kernel.ts";

export interface BenchArguments {
  readonly count: number;
  readonly backends: readonly Backend[];
}

/** `--count N` and `--backend nft|legacy`; both backends unless one is named. @throws {TypeError} */
export function readArguments(defaultCount: number): BenchArguments {
  const { values } = parseArgs({ options: { count: { type: "string" }, backend: { type: "string" } } });
  const count = Number(values.count ?? defaultCount);
  if (!Number.isInteger(count) || count < 1) throw new TypeError(`--count takes a whole number from 1 on, not ${values.count}`);
  const all: readonly Backend[] = ["nft", "legacy"];
  const backends = all.filter((backend) => values.backend === undefined || values.backend === backend);
  if (backends.length === 0) throw new TypeError(`--backend takes nft or legacy, not ${values.backend}`);
  return { count, backends };
}

/** Milliseconds by what was done. */
export type Measurements = ReadonlyMap<string, readonly number[]>;

/** Prints number, median, 99th percentile (of the nearest rank) and maximum of each row, in whole milliseconds. */
export function printTable(title: string, measurements: Measurements): void {
  const rows = [...measurements].map(([what, times]) => {
    const sorted = times.toSorted((a, b) => a - b);
    const at = (part: number) => String(Math.round(sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN));
    return [what, String(sorted.length), at(0.5), at(0.99), at(1)];
  });
  const table = [[title, "count", "median ms", "p99 ms", "max ms"], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  ");
  const [head = [], ...body] = table.map(line);
  console.log([head, "-".repeat(String(head).length), ...body, ""].join("\n"));
}
