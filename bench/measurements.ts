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
  return { count: wholeNumber("count", values.count, defaultCount), backends: backendsOf(values.backend) };
}

/** The value of `--NAME`. @throws {TypeError} when it is not a whole number from 1 on */
export function wholeNumber(name: string, text: string | undefined, otherwise: number): number {
  const value = Number(text ?? otherwise);
  if (!Number.isInteger(value) || value < 1) throw new TypeError(`--${name} takes a whole number from 1 on, not ${text}`);
  return value;
}

/** Both backends unless `--backend` names one. @throws {TypeError} */
export function backendsOf(named: string | undefined): readonly Backend[] {
  const all: readonly Backend[] = ["nft", "legacy"];
  const backends = all.filter((backend) => named === undefined || named === backend);
  if (backends.length === 0) throw new TypeError(`--backend takes nft or legacy, not ${named}`);
  return backends;
}

/** Milliseconds by what was done. */
export type Measurements = ReadonlyMap<string, readonly number[]>;

/** Median, 99th percentile (of the nearest rank) and maximum, in words. */
export function inWords(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) => Math.round(sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN);
  return `median ${at(0.5)} ms, p99 ${at(0.99)} ms, maximum ${at(1)} ms of ${sorted.length}`;
}

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
