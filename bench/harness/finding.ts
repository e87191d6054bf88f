import { type Spread, spreadOf } from "./statistics.ts";

/** What a figure has to reach. */
export type Bar = { readonly atLeast: number } | { readonly atMost: number };

/** `ratio`: to the same work without the service; `times`: how many times as fast or as many; `count`: a number of things. */
export type Unit = "ratio" | "times" | "us" | "ms" | "s" | "MB" | "count" | "per second";

/** One line of the table. */
export interface Finding {
  /** What was done, in words. */
  readonly work: string;
  /** The variant of iptables, where there is one. */
  readonly backend: string;
  readonly unit: Unit;
  readonly spread: Spread;
  /** Null for what stands beside a bar to compare with. */
  readonly bar: Bar | null;
  /** What it was computed from, by variant. */
  readonly raw: Readonly<Record<string, readonly number[]>>;
  readonly note?: string;
}

export type Verdict = "pass" | "short" | "";

/** Makes a finding of one figure for each round. */
export function finding(
  about: Omit<Finding, "spread" | "raw" | "bar"> & { readonly bar?: Bar | null; readonly raw?: Finding["raw"] },
  figures: readonly number[],
): Finding {
  return { ...about, bar: about.bar ?? null, spread: spreadOf(figures), raw: about.raw ?? { figures } };
}

/** Whether the median reaches the bar; empty where there is none. */
export function verdictOf({ bar, spread }: Pick<Finding, "bar" | "spread">): Verdict {
  if (bar === null) return "";
  const reached = "atLeast" in bar ? spread.median >= bar.atLeast : spread.median <= bar.atMost;
  return reached ? "pass" : "short";
}
