import type { EntryPlan, WrittenEnds } from "./timed-entries.ts";

/** Remembers with which ends this process wrote entries of sets. */
export interface EndsMemory {
  readonly ends: WrittenEnds;
  /**
   * The lines for `ipset restore` were run.
   * @param now milliseconds since the epoch
   */
  note(lines: readonly string[], ends: EntryPlan["ends"], now: number): void;
}

/** So many ends are kept before those that are over are looked for. */
const fewest = 1000;

export function createEndsMemory(): EndsMemory {
  const memory = new Map<string, number | null>();
  let most = fewest;

  /** The kernel drops what has ended without being asked. */
  const forgetEnded = (now: number): void => {
    for (const [key, end] of memory) if (end !== null && end <= now) memory.delete(key);
    most = Math.max(fewest, 2 * memory.size);
  };

  return {
    ends: memory,
    note: (lines, ends, now) => {
      for (const line of lines) if (line.startsWith("del ")) memory.delete(line.slice("del ".length));
      for (const [key, end] of ends) memory.set(key, end);
      if (memory.size > most) forgetEnded(now);
    },
  };
}
