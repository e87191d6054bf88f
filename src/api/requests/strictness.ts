import type { FastifyInstance, FastifyRequest } from "fastify";
import { ApiProblem } from "../problems/problem.ts";
import { isRecord, propertiesOf } from "./schema-words.ts";

const wholeNumber = /^(0|[1-9][0-9]{0,14})$/;
const booleans: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["false", false],
]);

/** Refuses what HTTP allows to mean anything: a request without a Host, a body where none is taken. */
export function refuseAmbiguity(app: FastifyInstance): void {
  // Only so is DELETE left unparsed, whatever content type a client library adds to it out of habit.
  app.addHttpMethod("DELETE", { hasBody: false, overrideExisting: true });
  app.addHook("onRequest", async (request) => {
    const { headers, method, routeOptions } = request;
    if (request.raw.httpVersion === "1.1" && headers.host === undefined) {
      throw new ApiProblem("malformed-request", "HTTP/1.1 requests carry a Host header.");
    }
    // Node takes the first of several; what stands before the service may have looked at the last (RFC 9112, 3.2).
    if (request.raw.rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === "host").length > 1) {
      throw new ApiProblem("malformed-request", "Requests carry one Host header, and this one has several.");
    }
    const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
    if (hasBody && (method === "DELETE" || routeOptions.config.takesNoBody === true)) {
      throw new ApiProblem("invalid-input", `${method} takes no body here.`, {
        errors: [{ pointer: "", message: "must be left out" }],
      });
    }
  });
}

/**
 * Converts the query parameters that the route declares as integers or booleans, and no others: what is no plain decimal number,
 * or neither `true` nor `false`, stays a string and fails.
 */
export function convertQueryValues(app: FastifyInstance): void {
  app.addHook("preValidation", async (request: FastifyRequest) => {
    const { query } = request;
    if (typeof query !== "object" || query === null) return;
    for (const [name, schema] of Object.entries(propertiesOf(request.routeOptions.schema?.querystring))) {
      const value: unknown = Reflect.get(query, name);
      if (isRecord(schema) && typeof value === "string") Reflect.set(query, name, converted(value, schema["type"]));
    }
  });
}

function converted(value: string, type: unknown): unknown {
  if (type === "boolean") return booleans.get(value) ?? value;
  return type === "integer" && wholeNumber.test(value) ? Number(value) : value;
}
