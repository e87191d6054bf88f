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

/** What can spare a reading of both; see `ReadingManner`. */
export interface BothManner {
  readonly known?: () => KnownChains | null;
  readonly generation?: Promise<number | undefined>;
  readonly isFresh?: boolean;
  /** What the tables are listed as at a generation, where that is known. */
  readonly listings?: (generation: number | undefined) => Readonly<Record<Family, string>> | undefined;
}

/** Reads the tables of both families. */
export function readBoth(
  of: Readonly<Record<Family, FilterTable>>,
  before: SavedTables | null,
  { known, generation, isFresh = false, listings }: BothManner = {},
): TablesReading {
  const [four, six] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const read = async (family: Family, onAsked: () => void): Promise<SavedTable> => {
    const manner = { ...(known && { known }), onAsked, before: before?.[family] };
    if (generation === undefined) return of[family].read(manner);
    const at = await generation;
    return of[family].read({ ...manner, generation: at, isFresh, listing: listings?.(at)?.[family] });
  };
  const reading = Promise.all([read(4, four.resolve), read(6, six.resolve)]);
  const tables = reading.then(([four, six]) => ({ 4: four, 6: six }));
  const asked = Promise.race([Promise.all([four.promise, six.promise]), Promise.allSettled([tables])]);
  return { tables, asked: asked.then(() => undefined) };
}
