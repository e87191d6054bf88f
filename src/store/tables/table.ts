import type { SQLInputValue } from "node:sqlite";
import type { Row } from "../row.ts";

/** All that is particular to one table; everything else is the same for each. */
export interface Table<Entry, Column extends string = string> {
  /** In SQL. */
  readonly name: string;
  /** The columns of the primary key, in the order of `keyOf`. */
  readonly key: readonly NoInfer<Column>[];
  /** The values of the primary key. */
  readonly keyOf: (entry: Entry) => Key;
  /** One value for each column. */
  readonly encode: (entry: Entry) => Readonly<Record<Column, SQLInputValue>>;
  /** @throws {UnreadableRowError} */
  readonly decode: (row: Row) => Entry;
  /** The order in which entries are listed; without it, any. */
  readonly compare?: (a: Entry, b: Entry) => number;
}

/** The values of a primary key. */
export type Key = readonly string[];

/** Declares a table, so that its columns are inferred and checked against each other. */
export function defineTable<Entry, const Column extends string>(table: Table<Entry, Column>): Table<Entry, Column> {
  return table;
}
