/** A field of the caller's input that was not accepted; `pointer` is a JSON pointer (RFC 6901) into the body, or names a path or query parameter. */
export interface FieldError {
  readonly pointer: string;
  readonly message: string;
}

/** Every way in which the domain refuses. The HTTP edge alone knows which status each one is. */
export type DomainErrorCode =
  | "invalid-input"
  | "not-found"
  | "already-exists"
  | "lockout"
  | "precondition-failed"
  | "kernel-refused"
  | "network-unsupported"
  | "no-room"
  | "not-ready"
  | "store-unwritable"
  | "insufficient-scope"
  | "gone"
  | "unconfirmed";

/** The one error that leaves the domain: a stable `code`, a message for the caller, and for input the fields that were wrong. */
export class DomainError extends Error {
  override readonly name = "DomainError";
  readonly code: DomainErrorCode;
  readonly errors: readonly FieldError[];

  constructor(code: DomainErrorCode, message: string, errors: readonly FieldError[] = []) {
    super(message);
    this.code = code;
    this.errors = errors;
  }
}
