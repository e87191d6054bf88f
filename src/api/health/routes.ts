import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import { strictObject } from "../fields.ts";
import { json, publicProblems } from "../openapi/responses.ts";
import { ApiProblem } from "../problems/problem.ts";
import { retryAfterSeconds } from "../problems/problem-from-error.ts";
import { Type } from "../schema-type.ts";

/** Whether the store is open and the kernel in step; if not, what is missing, as a sentence. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason?: string;
}

export interface HealthRouteOptions {
  readonly readiness: () => Readiness;
}

const config = { isPublic: true };
const tags = ["health"];
const security: [] = [];

/** For supervisors and load balancers; both take any query, as probes add what they like. */
export const healthRoutes: FastifyPluginAsyncTypebox<HealthRouteOptions> = async (app, { readiness }) => {
  app.get(
    "/livez",
    {
      config: { ...config, neverOverloaded: true },
      schema: {
        operationId: "getLiveness",
        tags,
        security,
        summary: "Is the process alive",
        response: { 200: json("It is.", strictObject({ status: Type.Literal("alive") })), ...publicProblems() },
      },
    },
    async () => ({ status: "alive" }),
  );

  app.get(
    "/readyz",
    {
      config,
      schema: {
        operationId: "getReadiness",
        tags,
        security,
        summary: "Is the store open and the kernel in step",
        response: { 200: json("Both are.", strictObject({ status: Type.Literal("ready") })), ...publicProblems("not-ready") },
      },
    },
    async () => {
      const { ready, reason = "The kernel is not in step with the store yet." } = readiness();
      if (!ready) throw new ApiProblem("not-ready", reason, { headers: { "retry-after": String(retryAfterSeconds) } });
      return { status: "ready" };
    },
  );
};
