import type { PassReport } from "../domain/ports.ts";

/** A pass that found the kernel different although nobody had asked for a change. `at` in milliseconds since the epoch. */
export interface Repair {
  readonly at: number;
  /** What differed, in words; the first of many. */
  readonly found: readonly string[];
  readonly writes: number;
}

/** What was put right since the start. */
export interface RepairLog {
  note(report: PassReport, now: number): void;
  count(): number;
  /** Newest first. */
  latest(): readonly Repair[];
}

const keptRepairs = 20;
const keptFindings = 20;

export function createRepairLog(): RepairLog {
  let repairs: readonly Repair[] = [];
  let count = 0;
  return {
    note: ({ found, writes }, now) => {
      count += 1;
      repairs = [{ at: now, found: found.slice(0, keptFindings), writes }, ...repairs].slice(0, keptRepairs);
    },
    count: () => count,
    latest: () => repairs,
  };
}
