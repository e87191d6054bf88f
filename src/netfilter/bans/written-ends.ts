import type { EntryPlan, WrittenEnds } from "./timed-entries.ts";

/** What lines added to a set. */
export type NewEntries = Pick<EntryPlan, "name" | "added">;

/** Remembers with which ends this process wrote entries of sets. */
export interface EndsMemory {
  readonly ends: WrittenEnds;
  /**
   * The lines for `ipset restore` were run.
   * @param now milliseconds since the epoch
   */
  note(lines: readonly string[], entries: readonly NewEntries[], now: number): void;
}

/** So many ends are kept before those that are over are looked for. */
const fewest = 1000;

export function createEndsMemory(): EndsMemory {
  const memory = new Map<string, Map<string, number | null>>();
  let [size, most] = [0, fewest];

  /** The kernel drops what has ended without being asked. */
  const forgetEnded = (now: number): void => {
    size = 0;
    for (const ends of memory.values()) {
      for (const [address, end] of ends) if (end !== null && end <= now) ends.delete(address);
      size += ends.size;
    }
    most = Math.max(fewest, 2 * size);
  };

  return {
    ends: memory,
    note: (lines, entries, now) => {
      for (const line of lines) {
        const [command, name = "", address = ""] = line.split(" ", 3);
        if (command === "del") memory.get(name)?.delete(address);
      }
      for (const { name, added } of entries) {
        if (added.length === 0) continue;
        const known = memory.get(name) ?? new Map<string, number | null>();
        memory.set(name, known);
        for (const { address, expiresAt } of added) known.set(address, expiresAt);
        size += added.length;
      }
      if (size > most) forgetEnded(now);
    },
  };
}
