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
  /** @param before as they were @param chains see `ReadingManner.known` */
  read(before: SavedTables | null, chains?: () => KnownChains | null): TablesReading;
  /** How tables that were just changed are to be read as a whole. */
  manner(chains?: KnownChains): Promise<ReadingManner>;
  /** Starts what a first reading asks; resolves when it has been. @param isFull whether there are rules to be expected, which take long to be listed */
  prepare(isFull: boolean): Promise<void>;
  /** Starts what is asked behind a change of all rules. */
  changing(): void;
  /** Takes note of the last reading, at the end of a pass. @param isLarge whether a start would be glad to know it */
  note(isLarge: boolean): void;
  /** Keeps the last reading, at the end. Never rejects. */
  finish(): Promise<void>;
}

/** Milliseconds after which what is the same as ever is kept. */
const stableTime = 30_000;
/**
 * Milliseconds for which nothing is listed because of a number alone. The kernel raises it just before a change takes effect, and who lists at that very
 * moment gets the rules from before.
 */
const longestTrust = 60_000;
const ascii = /^[\0-\x7f]*$/;

export function createTableReader({ tables, generation, listings, clock }: TableReaderOptions): TableReader {
  /** A start that knows nothing does not wait for the program that tells the generation. */
  let isFirst = true;
  let freshAt = clock.monotonic();
  let seen: { readonly generation: number; readonly at: number } | undefined;
  let useful: boolean | undefined;

  /** What the start before has kept, until it has been made use of. */
  let known: Listings | null | undefined;
  const recalled = (): Listings | null => {
    if (!isFirst || generation === undefined) return null;
    if (known === undefined) known = listings?.known() ?? null;
    return known;
  };

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
    read: (before, chains) => {
      const kept = recalled();
      const asks = !isFirst || kept !== null;
      [isFirst, known] = [false, null];
      const current = asks ? generation?.current() : undefined;
      const isFresh = clock.monotonic() - freshAt >= longestTrust;
      if (isFresh) freshAt = clock.monotonic();
      return readBoth(tables, before, {
        ...(chains && { known: chains }),
        ...(current && { generation: current }),
        isFresh,
        listings: (at) => (kept?.generation === at ? kept?.texts : undefined),
      });
    },
    manner: async (chains) => ({ ...(chains && { known: () => chains }), generation: await generation?.current() }),
    prepare: async (isFull) => {
      if (recalled() !== null) generation?.prepare();
      else await Promise.all([tables[4], tables[6]].map((table) => (isFull ? table.readSoon() : table.prepare())));
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
      if (useful !== undefined) await keep(useful ? listed() : null);
    },
  };
}
