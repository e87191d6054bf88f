import type { Family } from "../domain/network.ts";
import type { Clock } from "../domain/ports.ts";
import type { SavedTable } from "./iptables/saved-table.ts";
import type { FilterTable } from "./iptables/tables.ts";

/** The filter tables of both families, as they were read at one time. */
export type ReadTables = Readonly<Record<Family, SavedTable>>;

export interface TableReader {
  /**
   * @param age a reading that is less than so many milliseconds old will do, unless this service has written since
   * @throws {EnforcementDelayed}
   */
  read(age: number): Promise<ReadTables>;
  /** What was read before says no more what is there. */
  changed(): void;
}

/** Reads both tables at the same time, and remembers them for a moment: a write that was checked need not read them once more. */
export function createTableReader(tables: Readonly<Record<Family, FilterTable>>, clock: Pick<Clock, "monotonic">): TableReader {
  let last: { readonly at: number; readonly tables: ReadTables } | undefined;
  let changes = 0;
  return {
    read: async (age) => {
      const [at, begun] = [clock.monotonic(), changes];
      if (last !== undefined && at - last.at < age) return last.tables;
      const [four, six] = await Promise.all([tables[4].read(), tables[6].read()]);
      const read = { 4: four, 6: six };
      if (begun === changes) last = { at, tables: read };
      return read;
    },
    changed: () => {
      changes += 1;
      last = undefined;
    },
  };
}
