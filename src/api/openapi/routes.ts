import swaggerUi from "@fastify/swagger-ui";
import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import { Type } from "typebox";
import { strictObject } from "../fields.ts";
import { json, publicProblems } from "./responses.ts";

/** Nothing from elsewhere; the page sets styles on its elements. */
const contentSecurityPolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The OpenAPI document, and a page for people that shows it; all of it comes from this service. */
export const openapiRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    "/openapi.json",
    {
      config: { isPublic: true },
      schema: {
        operationId: "getOpenapiDocument",
        tags: ["openapi"],
        security: [],
        summary: "Read this document",
        querystring: strictObject({}),
        response: {
          200: json("An OpenAPI 3.1 document.", Type.Object({ openapi: Type.String() })),
          ...publicProblems("invalid-input"),
        },
      },
    },
    async () => app.swagger(),
  );

  app.register(async (docs) => {
    docs.addHook("onRoute", (route) => {
      route.config = { ...route.config, isPublic: true };
    });
    docs.register(swaggerUi, {
      routePrefix: "/docs",
      staticCSP: contentSecurityPolicy,
      theme: { title: "connlimitd API" },
      // Browsers send an Origin with everything but GET, and that is refused.
      uiConfig: { supportedSubmitMethods: ["get"], deepLinking: true },
    });
  });
};
