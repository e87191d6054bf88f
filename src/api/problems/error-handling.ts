import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { isRecord } from "../requests/schema-words.ts";
import { ApiProblem, problemDocument, problemMediaType } from "./problem.ts";
import { problemFromError } from "./problem-from-error.ts";
import { problemTypes } from "./problem-types.ts";

const writingMethods = new Set(["POST", "PUT", "PATCH", "DELETE"]);

/** Makes every error of every route a problem document. */
export function handleErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => {
    const { config, bodyLimit } = request.routeOptions;
    const problem = problemFromError(error, { ...config, ...(bodyLimit === undefined ? {} : { bodyLimit }) });
    if (problem.slug === "internal") request.log.error({ err: error }, "request failed");
    // A write that was refused changed nothing, and says so like every write; after an unexpected error nobody knows.
    else if (writingMethods.has(request.method)) reply.header("connlimitd-changed", "false");
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler(() => {
    throw noSuchRoute();
  });
  // Before the body is read, as for an unknown path it does not matter what is in it.
  app.addHook("onRequest", async (request) => {
    // The router takes the nothing behind a trailing slash for an empty parameter.
    const { params } = request;
    if (request.is404 || (isRecord(params) && Object.values(params).includes(""))) throw noSuchRoute();
  });
}

/** Answers errors that come up before there is a route, such as a path that can't be decoded; `admit` throws for callers who may know nothing. */
export function frameworkErrorHandler(admit: (request: FastifyRequest) => void) {
  return (error: Error, request: FastifyRequest, reply: FastifyReply): void => {
    try {
      admit(request);
      sendProblem(reply, problemFromError(error));
    } catch (refusal) {
      sendProblem(reply, problemFromError(refusal));
    }
  };
}

function sendProblem(reply: FastifyReply, problem: ApiProblem): FastifyReply {
  return reply
    .code(problemTypes[problem.slug].status)
    .headers(problem.headers)
    .type(problemMediaType)
    .serializer(JSON.stringify)
    .send(problemDocument(problem, reply.request.id));
}

function noSuchRoute(): ApiProblem {
  return new ApiProblem("not-found", "No route has this path.");
}
