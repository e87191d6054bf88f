import type { FieldError } from "../../domain/errors.ts";
import type { Scope } from "../../domain/scope.ts";
import { type ProblemSlug, problemTypes, problemUri } from "./problem-types.ts";

export interface ProblemOptions {
  readonly errors?: readonly FieldError[];
  /** Header fields that go with the answer, such as `Allow`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** A refusal of the HTTP edge: the slug of a problem type, and the detail for the caller as its message. */
export class ApiProblem extends Error {
  override readonly name = "ApiProblem";
  readonly slug: ProblemSlug;
  readonly errors: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(slug: ProblemSlug, detail: string, { errors = [], headers = {}, cause }: ProblemOptions = {}) {
    super(detail, { cause });
    this.slug = slug;
    this.errors = errors;
    this.headers = headers;
  }
}

/** The body of an error answer (RFC 9457). */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** The request that failed, as it stands in the log. */
  readonly instance?: string;
  readonly errors?: readonly FieldError[];
}

export const problemMediaType = "application/problem+json";

/** Builds the document for one occurrence; `requestId` is left out where there was no request yet. */
export function problemDocument(problem: ApiProblem, requestId?: string): ProblemDocument {
  const { status, title } = problemTypes[problem.slug];
  return {
    type: problemUri(problem.slug),
    title,
    status,
    detail: problem.message,
    ...(requestId === undefined ? {} : { instance: `urn:uuid:${requestId}` }),
    ...(problem.errors.length === 0 ? {} : { errors: problem.errors.map(withPointer) }),
  };
}

/** Parameters and headers are named like the fields of an object, so that every pointer is a JSON pointer (RFC 6901). */
function withPointer({ pointer, message }: FieldError): FieldError {
  return { pointer: pointer === "" || pointer.startsWith("/") ? pointer : `/${pointer}`, message };
}

/** The token is good, and not for this (RFC 6750, 3.1). */
export function insufficientScope(needed: Scope, detail: string, cause?: unknown): ApiProblem {
  const headers = { "www-authenticate": `Bearer error="insufficient_scope", scope="${needed}"` };
  return new ApiProblem("insufficient-scope", detail, { headers, cause });
}

/** How many wrong fields one answer names. */
export const maxListedErrors = 100;

/** How many of them its detail repeats. */
export const maxRepeatedErrors = 10;

/**
 * Most refusals of input are about one or a few fields: the detail repeats the first of them for those who read only that.
 * @param omitted how many faults there are besides `errors`
 */
export function invalidInput(errors: readonly FieldError[], omitted = 0): ApiProblem {
  const repeated = errors.slice(0, maxRepeatedErrors);
  const detail = repeated.map(({ pointer, message }) => `${pointer === "" ? "The body" : pointer}: ${message}`).join("; ");
  const count = errors.length > repeated.length ? ` \`errors\` lists ${Math.min(errors.length, maxListedErrors)}.` : "";
  return new ApiProblem("invalid-input", `${detail}.${count}${unlisted(errors, omitted)}`, listed(errors));
}

/** The same for a refusal of another kind, whose `detail` says already what is wrong. */
export function refusal(slug: ProblemSlug, detail: string, errors: readonly FieldError[], options: ProblemOptions): ApiProblem {
  return new ApiProblem(slug, `${detail}${unlisted(errors, 0)}`, { ...options, ...listed(errors) });
}

function listed(errors: readonly FieldError[]) {
  return { errors: errors.slice(0, maxListedErrors) };
}

function unlisted(errors: readonly FieldError[], omitted: number): string {
  const count = Math.max(0, errors.length - maxListedErrors) + omitted;
  return count === 0 ? "" : ` ${count} more ${count === 1 ? "fault is" : "faults are"} not listed.`;
}
