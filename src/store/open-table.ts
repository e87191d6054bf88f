import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import { type Arrangement, createLayer, createUpperLayer, type Layer, type UpperLayer } from "../domain/entries.ts";
import type { Key, Table } from "./tables/table.ts";
import type { Transactional } from "./transactional.ts";

/** Reads of a table. */
export interface Reads<Entry> {
  get(...key: Key): Entry | undefined;
  /** The same array until something changes. */
  values(): readonly Entry[];
  /** Cheap. */
  size(): number;
}

/** A table in the database with all its entries in memory. */
export interface OpenTable<Entry> extends Transactional {
  readonly committed: Reads<Entry>;
  /** With the changes of the transactions that are open. */
  readonly current: Reads<Entry>;
  /** Inside a transaction only, as `delete`. */
  put(entry: Entry): void;
  /** True when there was one. */
  delete(...key: Key): boolean;
}

/** @throws {UnreadableRowError} */
export function openTable<Entry>(database: DatabaseSync, table: Table<Entry>): OpenTable<Entry> {
  const { name, compare, encode } = table;
  const arrangement: Arrangement<Entry> = { keyOf: (entry) => textOfKey(table.keyOf(entry)), compare };
  const columns = database
    .prepare(`SELECT * FROM ${name}`)
    .columns()
    .map((column) => column.name);
  const upsert = database.prepare(
    `INSERT OR REPLACE INTO ${name} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
  );
  const remove = database.prepare(`DELETE FROM ${name} WHERE ${table.key.map((column) => `${column} = ?`).join(" AND ")}`);
  const committed = createLayer(entriesOf(database, table, columns), arrangement);
  const open: UpperLayer<Entry>[] = [];
  const top = (): Layer<Entry> => open.at(-1) ?? committed;

  function readsOf(layer: () => Layer<Entry>): Reads<Entry> {
    return { get: (...key) => layer().get(textOfKey(key)), values: () => layer().values(), size: () => layer().size() };
  }

  return {
    committed: readsOf(() => committed),
    current: readsOf(top),
    put(entry) {
      // By position: binding by name takes twice as long, which counts where thousands are written.
      const row = encode(entry);
      upsert.run(...columns.map((column) => row[column] ?? null));
      top().set(arrangement.keyOf(entry), entry);
    },
    delete(...key) {
      const text = textOfKey(key);
      if (top().get(text) === undefined) return false;
      remove.run(...key);
      top().set(text, undefined);
      return true;
    },
    begin() {
      open.push(createUpperLayer(top(), arrangement));
    },
    keep() {
      const kept = open.pop();
      kept?.keepIn(top());
    },
    drop() {
      open.pop();
    },
  };
}

/**
 * All entries of a table. Its rows come as the arguments of a function and go into one object: to make an object of each, or to iterate, which makes two,
 * takes as long as to read their values.
 */
function entriesOf<Entry>(database: DatabaseSync, { name, decode }: Table<Entry>, columns: readonly string[]): Entry[] {
  let entries: Entry[] = [];
  const row: Record<string, SQLOutputValue> = {};
  const reader = `read_${name}`;
  database.function(reader, { varargs: true, directOnly: true }, (...values) => {
    for (let index = 0; index < columns.length; index += 1) row[columns[index] ?? ""] = values[index] ?? null;
    entries.push(decode(row));
    return null;
  });
  try {
    database.prepare(`SELECT count(${reader}(${columns.join(", ")})) FROM ${name}`).get();
    return entries;
  } finally {
    // The database keeps the function, and what it knows.
    entries = [];
  }
}

/** No value of a key holds a line break. */
function textOfKey(key: Key): string {
  const [first = ""] = key;
  return key.length === 1 ? first : key.join("\n");
}
