import type { Family } from "../../domain/network.ts";
import type { SavedTable } from "./saved-table.ts";
import type { KnownChains } from "./standing-chains.ts";
import type { FilterTable } from "./tables.ts";

export type SavedTables = Readonly<Record<Family, SavedTable>>;

/** A reading of both families' tables that is under way. */
export interface TablesReading {
  readonly tables: Promise<SavedTables>;
  /** Resolves when programs are at work at both of them, or there is nothing more to wait for. */
  readonly asked: Promise<void>;
}

/** Reads the tables of both families. @param known and @param before see `ReadingManner` */
export function readBoth(
  of: Readonly<Record<Family, FilterTable>>,
  before: SavedTables | null,
  known?: () => KnownChains | null,
): TablesReading {
  const [four, six] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const read = (family: Family, onAsked: () => void): Promise<SavedTable> =>
    of[family].read({ ...(known && { known }), onAsked, before: before?.[family] });
  const reading = Promise.all([read(4, four.resolve), read(6, six.resolve)]);
  const tables = reading.then(([four, six]) => ({ 4: four, 6: six }));
  const asked = Promise.race([Promise.all([four.promise, six.promise]), Promise.allSettled([tables])]);
  return { tables, asked: asked.then(() => undefined) };
}
