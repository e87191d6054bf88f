import { DomainError } from "../../domain/errors.ts";
import { EnforcementDelayed } from "../../domain/ports.ts";
import { fieldErrors, isValidationFailure } from "../requests/field-errors.ts";
import { ApiProblem, insufficientScope, invalidInput, maxRepeatedErrors, refusal } from "./problem.ts";
import type { ProblemSlug } from "./problem-types.ts";

/** What the HTTP edge knows about the route that failed. */
export interface FailedRoute {
  /** Fields that answers carry and requests must not. */
  readonly readOnlyFields?: readonly string[];
  /** Bytes that a body may have. */
  readonly bodyLimit?: number;
}

/** Seconds after which a caller may try again. */
export const retryAfterSeconds = 2;

/** The errors that Fastify itself raises, by their stable codes. */
const fastifyErrors: Readonly<Record<string, readonly [ProblemSlug, string]>> = {
  FST_ERR_BAD_URL: ["malformed-request", "The path is not validly percent-encoded."],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ["malformed-request", "The body is shorter or longer than Content-Length says."],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ["unsupported-media-type", "The body needs the header Content-Type: application/json."],
  FST_ERR_MAX_PARAM_LENGTH: ["uri-too-long", "A part of the path is longer than 1024 characters."],
  FST_ERR_NOT_FOUND: ["not-found", "No route has this path."],
};

/** Turns whatever was thrown into the problem that the caller is told. Only `internal` hides what it was. */
export function problemFromError(error: unknown, route: FailedRoute = {}): ApiProblem {
  if (error instanceof ApiProblem) return error;
  if (error instanceof DomainError) return fromDomain(error);
  if (error instanceof EnforcementDelayed) return later("not-ready", `The kernel can't be read now: ${error.message}.`, error);
  if (isValidationFailure(error)) {
    const { errors, omitted } = fieldErrors(error, route.readOnlyFields ?? []);
    return invalidInput(errors, omitted);
  }
  if (!(error instanceof Error)) return internal(error);
  if ("code" in error && error.code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return new ApiProblem("payload-too-large", `The body is larger than ${route.bodyLimit ?? "the allowed number of"} bytes.`, {
      cause: error,
    });
  }
  const known = "code" in error && typeof error.code === "string" ? fastifyErrors[error.code] : undefined;
  if (known !== undefined) return new ApiProblem(...known, { cause: error });
  const blamesCaller =
    "statusCode" in error && typeof error.statusCode === "number" && error.statusCode >= 400 && error.statusCode < 500;
  if (blamesCaller) return new ApiProblem("malformed-request", "The request could not be read.", { cause: error });
  return internal(error);
}

function fromDomain(error: DomainError): ApiProblem {
  const { length } = error.errors;
  // Where there are many, the message of the domain says more than a few of them would.
  if (error.code === "invalid-input" && length > 0 && length <= maxRepeatedErrors) return invalidInput(error.errors);
  if (error.code === "not-ready" || error.code === "store-unwritable") return later(error.code, error.message, error);
  // The domain knows one thing that not everybody may who may write: to override the lockout guard.
  if (error.code === "insufficient-scope") return insufficientScope("admin", error.message, error);
  return refusal(error.code, error.message, error.errors, { cause: error });
}

/** More is asked of the service than it can do now. */
export function overloaded(detail: string): ApiProblem {
  return new ApiProblem("overloaded", detail, { headers: { "retry-after": String(retryAfterSeconds) } });
}

function later(slug: "not-ready" | "store-unwritable", detail: string, cause: unknown): ApiProblem {
  return new ApiProblem(slug, detail, { headers: { "retry-after": String(retryAfterSeconds) }, cause });
}

function internal(cause: unknown): ApiProblem {
  return new ApiProblem("internal", "The service met an unexpected error; its log has it under the id in instance.", { cause });
}
