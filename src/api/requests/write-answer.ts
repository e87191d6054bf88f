import type { TProperties } from "typebox";
import type { WriteOutcome } from "../../domain/services.ts";
import { strictObject } from "../fields.ts";
import { Type } from "../schema-type.ts";
import { etag } from "./conditions.ts";

/** Header fields of a write that was taken. `location` goes with what is new. */
export function writeHeaders({ created, changed }: WriteOutcome<unknown>, version: string, location: string) {
  return {
    etag: etag(version),
    "connlimitd-changed": String(changed),
    ...(created ? { location } : {}),
  };
}

/** 200, or 201 for what is new, once the kernel holds it; 202 while it is stored and on its way. */
export function putStatus({ created, enforced }: WriteOutcome<unknown>): 200 | 201 | 202 {
  const done = created ? 201 : 200;
  return enforced ? done : 202;
}

/** The same for what is always new. */
export function postStatus({ enforced }: WriteOutcome<unknown>): 201 | 202 {
  return enforced ? 201 : 202;
}

/** The same for what is never new. */
export function patchStatus({ enforced }: WriteOutcome<unknown>): 200 | 202 {
  return enforced ? 200 : 202;
}

const enforcement = strictObject({ state: Type.Literal("pending"), message: Type.String() });

/** The body of a removal that is stored but not in the kernel yet; `more` are fields that can stand beside. */
export function pendingRemoval<T extends TProperties>($id: string, more: T) {
  return strictObject(
    { enforcement, ...more },
    { $id, description: "It is stored, but not in the kernel yet; the service keeps trying." },
  );
}

/** The same without other fields. */
export const Pending = pendingRemoval("Pending", {});

/**
 * Status and body of a removal: nothing to say once the kernel has let go.
 * @param done what is done already, as the begin of a sentence
 */
export function removalAnswer(enforced: boolean, done: string) {
  const headers = { "connlimitd-changed": "true" };
  if (enforced) return { status: 204 as const, headers, body: undefined };
  const message = `${done}; the kernel could not be reached yet, and the service keeps trying.`;
  return { status: 202 as const, headers, body: { enforcement: { state: "pending" as const, message } } };
}

/** The same with something more to say, if there is. */
export function removalAnswerWith(more: object, enforced: boolean, done: string) {
  const { status, headers, body } = removalAnswer(enforced, done);
  if (Object.keys(more).length === 0) return { status, headers, body };
  return { status: enforced ? (200 as const) : (202 as const), headers, body: { ...body, ...more } };
}
