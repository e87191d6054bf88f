import type { EntryPlan, WrittenEnds } from "./timed-entries.ts";

/** Remembers with which ends this process wrote entries of sets. */
export interface EndsMemory {
  readonly ends: WrittenEnds;
  /** The lines for `ipset restore` were run. */
  note(lines: readonly string[], ends: EntryPlan["ends"]): void;
}

export function createEndsMemory(): EndsMemory {
  const memory = new Map<string, number | null>();
  return {
    ends: memory,
    note: (lines, ends) => {
      for (const line of lines) if (line.startsWith("del ")) memory.delete(line.slice("del ".length));
      for (const [key, end] of ends) memory.set(key, end);
    },
  };
}
