import type { Clock } from "../domain/ports.ts";
import { readBoth, type SavedTables, type TablesReading } from "./iptables/both-tables.ts";
import type { Generation } from "./iptables/generation.ts";
import type { KnownChains } from "./iptables/standing-chains.ts";
import type { FilterTable, ReadingManner } from "./iptables/tables.ts";
import type { KeptListings, Listings } from "./kept-listings.ts";

export interface TableReaderOptions {
  readonly tables: Readonly<Record<4 | 6, FilterTable>>;
  /** Without it, each look lists all rules. */
  readonly generation?: Generation;
  /** Without it, each start does. */
  readonly listings?: KeptListings;
  readonly clock: Clock;
}

/** Reads the tables of both families, and spares what nothing can have changed since. */
export interface TableReader {
  /** @param before as they were @param known see `ReadingManner` */
  read(before: SavedTables | null, known?: () => KnownChains | null): TablesReading;
  /** How tables that were just changed are to be read as a whole. */
  manner(known?: KnownChains): Promise<ReadingManner>;
  /** Starts what a first reading asks. */
  prepare(): void;
  /** Starts what is asked behind a change. */
  changing(): void;
  /** Takes note of the last reading, at the end of a pass. @param isLarge whether a start would be glad to know it */
  note(isLarge: boolean): void;
  /** Keeps the last reading, at the end. Never rejects. */
  finish(): Promise<void>;
}

/** Milliseconds after which what is the same as ever is kept. */
const stableTime = 30_000;
const ascii = /^[\0-\x7f]*$/;

export function createTableReader({ tables, generation, listings, clock }: TableReaderOptions): TableReader {
  /** A start that knows nothing does not wait for the program that tells the generation. */
  let isFirst = true;
  let seen: { readonly generation: number; readonly at: number } | undefined;
  let useful = false;

  const recalled = (): Listings | null => (isFirst && generation !== undefined ? (listings?.known() ?? null) : null);

  /** What was listed last, where both families were at the same generation. */
  const listed = (): Listings | null => {
    const [four, six] = [tables[4].listing(), tables[6].listing()];
    if (four === undefined || four.generation !== six?.generation) return null;
    return { generation: four.generation, texts: { 4: four.text, 6: six.text } };
  };

  const keep = async (found: Listings | null): Promise<void> => {
    const isPlain = found !== null && ascii.test(found.texts[4]) && ascii.test(found.texts[6]);
    await listings?.keep(isPlain ? found : null);
  };

  return {
    read: (before, known) => {
      const kept = recalled();
      const asks = !isFirst || kept !== null;
      isFirst = false;
      const current = asks ? generation?.current() : undefined;
      return readBoth(tables, before, {
        ...(known && { known }),
        ...(current && { generation: current }),
        listings: (at) => (kept?.generation === at ? kept?.texts : undefined),
      });
    },
    manner: async (known) => ({ ...(known && { known: () => known }), generation: await generation?.current() }),
    prepare: () => {
      if (recalled() !== null) generation?.prepare();
      else for (const table of [tables[4], tables[6]]) table.prepare();
    },
    changing: () => generation?.prepare(),
    note: (isLarge) => {
      useful = isLarge;
      if (listings === undefined || generation === undefined) return;
      const found = listed();
      const isSame = found !== null && found.generation === seen?.generation;
      if (!isSame) seen = found === null ? undefined : { generation: found.generation, at: clock.monotonic() };
      if (found === null || !useful) void listings.keep(null);
      else if (isSame && seen !== undefined && clock.monotonic() - seen.at >= stableTime) void keep(found);
    },
    finish: async () => {
      const found = listed();
      if (useful && found !== null) await keep(found);
    },
  };
}
