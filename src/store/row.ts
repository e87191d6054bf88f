import type { SQLOutputValue } from "node:sqlite";
import { UnreadableRowError } from "./store-error.ts";

/** One row as node:sqlite gives it. */
export type Row = Readonly<Record<string, SQLOutputValue>>;

/** @throws {UnreadableRowError} as do all of these, for a value of another type */
export function textOf(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw unreadable(column);
  return value;
}

/** Gives the string that it gave before where the two are equal: tens of thousands of rows have the same words, and one string serves them. */
export function createRepetition(): (text: string) => string {
  let last = "";
  return (text) => {
    if (text !== last) last = text;
    return last;
  };
}

export function integerOf(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== "number") throw unreadable(column);
  return value;
}

export function integerOrNullOf(row: Row, column: string): number | null {
  return row[column] === null ? null : integerOf(row, column);
}

export function textOrNullOf(row: Row, column: string): string | null {
  return row[column] === null ? null : textOf(row, column);
}

/** A SHA-256 in hexadecimal. */
export function digestOf(row: Row, column: string): string {
  const value = textOf(row, column);
  if (!/^[0-9a-f]{64}$/.test(value)) throw unreadable(column);
  return value;
}

export function choiceOf<const Choice extends string>(row: Row, column: string, choices: readonly Choice[]): Choice {
  const value = row[column];
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw unreadable(column);
  return found;
}

/** A JSON array of which each item is accepted by `isItem`. */
export function jsonArrayOf<Item>(row: Row, column: string, isItem: (value: unknown) => value is Item): readonly Item[] {
  const value = parseJson(textOf(row, column));
  if (!Array.isArray(value) || !value.every(isItem)) throw unreadable(column);
  return value;
}

/** A JSON object whose values a row could hold. */
export function jsonRowOf(row: Row, column: string): Row {
  const value = parseJson(textOf(row, column));
  if (!isRow(value)) throw unreadable(column);
  return value;
}

/** A JSON object, whatever its values. */
export function jsonObjectOrNullOf(row: Row, column: string): Readonly<Record<string, unknown>> | null {
  if (row[column] === null) return null;
  const value = parseJson(textOf(row, column));
  if (!isObject(value)) throw unreadable(column);
  return value;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isRow(value: unknown): value is Row {
  return (
    isObject(value) &&
    Object.values(value).every((field) => field === null || typeof field === "string" || typeof field === "number")
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unreadable(column: string): UnreadableRowError {
  return new UnreadableRowError(`unreadable value in column ${column}`);
}
