import { DomainError } from "./errors.ts";

/** The conditions of RFC 9110 under which a write is wanted. Versions are opaque and compared as strings. */
export interface Preconditions {
  /** The resource must exist, in one of these versions (`*`: in any). */
  readonly ifMatch?: readonly string[] | "*";
  /** The resource must not exist. */
  readonly ifNoneMatch?: "*";
}

/**
 * Checks the conditions against the present version (`undefined`: there is no such resource).
 * @throws {DomainError} `precondition-failed`
 */
export function assertPreconditions(conditions: Preconditions, version: string | undefined): void {
  const { ifMatch, ifNoneMatch } = conditions;
  if (ifNoneMatch === "*" && version !== undefined) {
    throw new DomainError("precondition-failed", "If-None-Match: * asks that it does not exist yet, but it does.");
  }
  if (ifMatch === undefined) return;
  if (version === undefined) {
    throw new DomainError("precondition-failed", "If-Match asks that it exists, but it does not.");
  }
  if (ifMatch !== "*" && !ifMatch.includes(version)) {
    throw new DomainError(
      "precondition-failed",
      "If-Match names another version: it was changed meanwhile. Read it again and decide anew.",
    );
  }
}
