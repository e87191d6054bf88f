import type { Static, TObject, TProperties, TSchema } from "typebox";
import { policyNamePattern } from "../domain/policy-rules.ts";
import { maxTextLength } from "../domain/text-rules.ts";
import { Type } from "./schema-type.ts";

const namePattern = policyNamePattern.source;
const plainTextPattern = "^[^\\p{Cc}\\p{Cs}]*$";
const timePattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$";
const cursorPattern = "^[A-Za-z0-9_-]+$";

/** What a string of each pattern is, in words, for those whose string does not fit. */
export const patternWords: ReadonlyMap<string, string> = new Map([
  [namePattern, `a name of 1 to 20 lower-case letters, digits and hyphens that begins with a letter (${namePattern})`],
  [plainTextPattern, `text of at most ${maxTextLength} characters without control characters`],
  [timePattern, "an RFC 3339 time, such as 2026-11-22T08:00:00Z"],
  [cursorPattern, "the nextCursor of an earlier answer"],
]);

/** The name of a token: made like that of a policy. */
export function tokenName(description: string) {
  return Type.String({ pattern: namePattern, description, examples: ["ci"] });
}

/** The name of a policy. */
export function policyName(description: string) {
  return Type.String({ pattern: namePattern, description, examples: ["mysql"] });
}

/** A text that comes back verbatim. */
export function plainText(description: string, example: string) {
  return Type.String({ maxLength: maxTextLength, pattern: plainTextPattern, default: "", description, examples: [example] });
}

/** An address or network; the domain reads it. */
export function network(description: string, example: string) {
  return Type.String({ title: "IPv4 or IPv6 address or CIDR network", description, examples: [example] });
}

/** One address; the domain reads it. */
export function address(description: string, example: string) {
  return Type.String({ title: "IPv4 or IPv6 address", description, examples: [example] });
}

/** A point in time as callers write it, with any offset. */
export function inputTime(description: string) {
  return Type.String({ format: "date-time", pattern: timePattern, description, examples: ["2026-11-23T08:00:00Z"] });
}

/** A point in time as answers carry it: UTC, with milliseconds. */
export function outputTime(description: string) {
  return Type.String({ format: "date-time", description, examples: ["2026-11-22T08:00:00.000Z"] });
}

/** An integer within bounds that both ends belong to. */
export function integer(limits: { readonly minimum: number; readonly maximum: number }, description: string, example: number) {
  return Type.Integer({ ...limits, description, examples: [example] });
}

export function nullable<T extends TSchema>(schema: T, options: { readonly description?: string; readonly default?: null } = {}) {
  return Type.Union([schema, Type.Null()], options);
}

/** An object that takes no other fields. */
export function strictObject<T extends TProperties>(properties: T, options: Readonly<Record<string, unknown>> = {}): TObject<T> {
  return Type.Object(properties, { ...options, additionalProperties: false });
}

/** The position in a list. */
export const cursorField = Type.String({
  pattern: cursorPattern,
  description: "`nextCursor` of the page before; leave it out for the first page.",
});

/** Refers to a schema that is registered with the server under its `$id`. */
export function reference<T extends TSchema>(schema: T) {
  if (!("$id" in schema) || typeof schema.$id !== "string") throw new TypeError("only a schema with an $id can be referred to");
  return Type.Unsafe<Static<T>>({ $ref: `${schema.$id}#` });
}

/** The milliseconds since the epoch of a time that callers write; `undefined` for a leap second, which no clock shows. */
export function timeFrom(text: string): number | undefined {
  const time = Date.parse(text.toUpperCase());
  return Number.isNaN(time) ? undefined : time;
}

/** Bans that came together have their times in common, and a page has a thousand of them. */
const formatted = new Map<number, string>();
const mostFormatted = 1000;

/** Milliseconds since the epoch as RFC 3339 UTC. */
export function formatTime(milliseconds: number): string {
  const known = formatted.get(milliseconds);
  if (known !== undefined) return known;
  const text = new Date(milliseconds).toISOString();
  if (formatted.size >= mostFormatted) formatted.clear();
  formatted.set(milliseconds, text);
  return text;
}

/** The same for what may have no time. */
export function formatEnd(milliseconds: number | null): string | null {
  return milliseconds === null ? null : formatTime(milliseconds);
}
