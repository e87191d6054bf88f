import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Inspector } from "../../domain/inspection.ts";
import type { LookService } from "../../domain/services.ts";
import { reference, strictObject } from "../fields.ts";
import { json, problems } from "../openapi/responses.ts";
import { type PassHistory, presentStatus } from "./representation.ts";
import { StatusResource } from "./schemas.ts";

export interface StatusRouteOptions {
  readonly look: LookService;
  readonly inspector: Inspector;
  readonly enforcement: PassHistory;
  /** The version of the service. */
  readonly version: string;
}

export const statusRoutes: FastifyPluginAsyncTypebox<StatusRouteOptions> = async (
  app,
  { look, inspector, enforcement, version },
) => {
  app.get(
    "/v1/status",
    {
      config: { scope: "read" },
      schema: {
        operationId: "getStatus",
        tags: ["looking"],
        summary: "How are the service and the kernel",
        description:
          "For people and monitoring: `state` is one word, `warnings` say what to do. 503 where the kernel can't be read at all.",
        querystring: strictObject({}),
        response: { 200: json("The status.", reference(StatusResource)), ...problems("invalid-input", "not-ready") },
      },
    },
    async () => {
      const [status, facts] = await Promise.all([look.status(), inspector.facts()]);
      return presentStatus({ version, uptime: process.uptime(), status, facts, enforcement });
    },
  );
};
