import { maxBatchItems } from "../../domain/ban-batch.ts";
import { invalidInput } from "../problems/problem.ts";
import { isRecord, propertiesOf } from "../requests/schema-words.ts";
import { BanBatchBody } from "./batch-schemas.ts";
import { NewBan } from "./schemas.ts";

/**
 * Refuses what would make the schema find more than some faults per item, as it reports all of them: too many items, and objects
 * with many more fields than they can have.
 * @throws {ApiProblem} `invalid-input`
 */
export function assertBounded(body: unknown): void {
  if (!isObject(body)) return;
  assertFewFields(body, BanBatchBody, "");
  const put = arrayIn(body, "put");
  const count = itemCount(body);
  if (count > maxBatchItems) {
    throw invalidInput([
      { pointer: "", message: `must have at most ${maxBatchItems} items in put and delete together; it has ${count}` },
    ]);
  }
  for (const [index, item] of put.entries()) if (isObject(item)) assertFewFields(item, NewBan, `/put/${index}`);
}

/** How many items a body that claims to be a batch has. */
export function itemCount(body: unknown): number {
  return isObject(body) ? arrayIn(body, "put").length + arrayIn(body, "delete").length : 0;
}

/** @throws {ApiProblem} `invalid-input` */
export function assertNotEmpty({
  put = [],
  delete: deleted = [],
}: {
  put?: readonly unknown[];
  delete?: readonly unknown[];
}): void {
  if (put.length + deleted.length > 0) return;
  throw invalidInput([{ pointer: "", message: "must have at least one item in put or delete" }]);
}

function assertFewFields(value: object, schema: unknown, pointer: string): void {
  const known = Object.keys(propertiesOf(schema));
  const count = Object.keys(value).length;
  if (count <= 2 * known.length) return;
  throw invalidInput([{ pointer, message: `has ${count} fields; known are ${known.join(", ")}` }]);
}

/** True for what JSON calls an object. */
function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return isRecord(value) && !Array.isArray(value);
}

function arrayIn(body: Readonly<Record<string, unknown>>, name: string): readonly unknown[] {
  const value = body[name];
  return Array.isArray(value) ? value : [];
}
