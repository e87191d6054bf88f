import { DomainError, type DomainErrorCode, type FieldError } from "./errors.ts";

/** More errors than these are only counted: nobody reads them, and the answer would be longer than the batch. */
const maxErrors = 100;

/** The refusal of a batch because of some of its items, of which there is at least one. */
export function batchError(code: DomainErrorCode, errors: readonly FieldError[]): DomainError {
  const [first] = errors;
  const extent =
    errors.length > maxErrors ? `${errors.length} errors, of which the first ${maxErrors} are listed` : `${errors.length} errors`;
  const count = errors.length === 1 ? "" : ` The batch has ${extent}.`;
  const message = `${first?.pointer}: ${first?.message.replace(/\.$/, "")}`;
  return new DomainError(code, `Nothing of the batch was applied: ${message}.${count}`, errors.slice(0, maxErrors));
}
