import type { TProperties, TSchema } from "typebox";
import { cursorField, nullable, strictObject } from "../fields.ts";
import { Type } from "../schema-type.ts";
import type { Cursors } from "./cursors.ts";

/** Items of a page where nobody asks for another number. */
export const defaultLimit = 100;

const pageFields = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, default: defaultLimit, description: "How many items at most." }),
  ),
  cursor: Type.Optional(cursorField),
};

/** The query parameters of a list: `limit`, `cursor`, and its filters. */
export function listQuery<T extends TProperties>(filters: T) {
  return strictObject({ ...pageFields, ...filters });
}

const answerFields = {
  nextCursor: nullable(Type.String(), { description: "Pass it as `cursor` for the next page; null on the last one." }),
};

/** The answer of a list. */
export function listOf<T extends TSchema>(item: T) {
  return strictObject({ items: Type.Array(item), ...answerFields });
}

/** The same with fields beside the items that are about the whole list. */
export function listWith<T extends TSchema, Extra extends TProperties>(item: T, extra: Extra) {
  return strictObject({ items: Type.Array(item), ...answerFields, ...extra });
}

/** Which page is wanted. */
export interface PageQuery {
  readonly limit?: number;
  readonly cursor?: string;
}

/** How a list is walked. `keyOf` names the position of an item, `isAfter` tells whether an item comes after the position `key`. */
export interface Walk<T> {
  /** The route and whatever narrows the list; a position of one scope is nothing in another. */
  readonly scope: readonly unknown[];
  readonly keyOf: (item: T) => string;
  readonly isAfter: (key: string) => (item: T) => boolean;
}

/**
 * Takes one page of `items`, which are sorted. A page begins after the last key of the one before, whether that item is still
 * there or not: what comes and goes meanwhile makes no other item appear twice or never.
 */
export function pageOf<T>(items: readonly T[], { limit = defaultLimit, cursor }: PageQuery, walk: Walk<T>, cursors: Cursors) {
  const scope = JSON.stringify(walk.scope);
  const start = cursor === undefined ? 0 : firstIndex(items, walk.isAfter(cursors.decode(scope, cursor)));
  const page = items.slice(start, start + limit);
  const last = page.at(-1);
  const isLastPage = last === undefined || start + limit >= items.length;
  return { items: page, nextCursor: isLastPage ? null : cursors.encode(scope, walk.keyOf(last)) };
}

/** What `pageOf` needs of a list that can be made in part: the items after a position, one more than fit, which tells whether there is another page. */
export function partOf<T>({ limit = defaultLimit, cursor }: PageQuery, { scope }: Pick<Walk<T>, "scope">, cursors: Cursors) {
  const after = cursor === undefined ? {} : { after: cursors.decode(JSON.stringify(scope), cursor) };
  return { ...after, limit: limit + 1 };
}

/** The first index whose item passes `test`, in a list where all the following ones pass too; its length when none does. */
function firstIndex<T>(items: readonly T[], test: (item: T) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = items[middle];
    if (item !== undefined && test(item)) high = middle;
    else low = middle + 1;
  }
  return low;
}
