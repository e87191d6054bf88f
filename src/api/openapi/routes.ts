import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import { strictObject } from "../fields.ts";
import { ApiProblem } from "../problems/problem.ts";
import { Type } from "../schema-type.ts";
import { docsPage, docsPart } from "./docs-page.ts";
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

  const hidden = { config: { isPublic: true }, schema: { hide: true } };
  const headers = { "content-security-policy": contentSecurityPolicy };
  for (const path of ["/docs", "/docs/"]) {
    app.get(path, hidden, async (_request, reply) => reply.headers(headers).type("text/html; charset=utf-8").send(docsPage));
  }
  app.get("/docs/json", hidden, async () => app.swagger());
  app.get<{ Params: { readonly name: string } }>("/docs/static/:name", hidden, async ({ params }, reply) => {
    const part = await docsPart(params.name);
    if (part === undefined) throw new ApiProblem("not-found", "The page at /docs has no such part.");
    return reply.headers(headers).type(part.type).send(part.content);
  });
};
