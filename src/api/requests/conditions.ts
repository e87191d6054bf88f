import { DomainError } from "../../domain/errors.ts";
import { assertPreconditions, type Preconditions } from "../../domain/preconditions.ts";
import { ApiProblem } from "../problems/problem.ts";
import { Type } from "../schema-type.ts";

/** The header fields of writes, for the documentation; `readConditions` reads them. */
export const conditionHeaders = Type.Object({
  "If-Match": Type.Optional(
    Type.String({
      description:
        'Write only if the resource has one of these ETags (`"a", "b"`), or exists at all (`*`). Weak tags never match.',
    }),
  ),
  "If-None-Match": Type.Optional(
    Type.String({ description: "`*`: write only if the resource does not exist yet. Nothing else is taken." }),
  ),
});

interface ConditionHeaders {
  readonly "if-match"?: string | undefined;
  readonly "if-none-match"?: string | undefined;
}

const entityTag = /(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"/y;
const separator = /[ \t]*(?:,[ \t]*)*/y;

/**
 * Reads the preconditions of a write (RFC 9110, 13.1).
 * @throws {ApiProblem} `invalid-input`
 */
export function readConditions(headers: ConditionHeaders): Preconditions {
  const ifMatch = headers["if-match"];
  const ifNoneMatch = headers["if-none-match"];
  if (ifNoneMatch !== undefined && ifNoneMatch.trim() !== "*") {
    throw badHeader("If-None-Match", "must be * on a write");
  }
  return {
    ...(ifMatch === undefined ? {} : { ifMatch: ifMatch.trim() === "*" ? "*" : strongTags(ifMatch) }),
    ...(ifNoneMatch === undefined ? {} : { ifNoneMatch: "*" }),
  };
}

/**
 * Checks the preconditions of a POST, which names its resource in the body. `version` is that of the resource; it rejects
 * with `not-found` where there is none.
 * @throws {DomainError} `precondition-failed`
 */
export async function assertCreatable(conditions: Preconditions, version: () => Promise<string>): Promise<void> {
  if (conditions.ifMatch === undefined && conditions.ifNoneMatch === undefined) return;
  assertPreconditions(conditions, await versionIfAny(version));
}

/** A strong entity tag. */
export function etag(version: string): string {
  return `"${version}"`;
}

async function versionIfAny(version: () => Promise<string>): Promise<string | undefined> {
  try {
    return await version();
  } catch (error) {
    if (error instanceof DomainError && error.code === "not-found") return undefined;
    throw error;
  }
}

/** The versions in a list of entity tags. Weak ones are read and left out, as they never match strongly. */
function strongTags(list: string): readonly string[] {
  const versions: string[] = [];
  let tags = 0;
  let position = skip(list, 0);
  while (position < list.length) {
    entityTag.lastIndex = position;
    const match = entityTag.exec(list);
    const end = entityTag.lastIndex;
    const next = match === null ? 0 : skip(list, end);
    const isSeparated = next === list.length || list.slice(end, next).includes(",");
    if (match === null || !isSeparated) throw badTags();
    tags += 1;
    if (match[1] === undefined && match[2] !== undefined) versions.push(match[2]);
    position = next;
  }
  if (tags === 0) throw badTags();
  return versions;
}

function skip(text: string, position: number): number {
  separator.lastIndex = position;
  separator.exec(text);
  return separator.lastIndex;
}

function badTags(): ApiProblem {
  return badHeader("If-Match", 'must be * or a list of ETags in double quotes, such as "a", "b"');
}

function badHeader(pointer: string, message: string): ApiProblem {
  return new ApiProblem("invalid-input", `${pointer} ${message}.`, { errors: [{ pointer, message }] });
}
