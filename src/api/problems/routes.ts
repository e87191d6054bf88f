import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import { strictObject } from "../fields.ts";
import { content, problems } from "../openapi/responses.ts";
import { Type } from "../schema-type.ts";
import { problemPage } from "./page.ts";
import { ApiProblem } from "./problem.ts";
import { isProblemSlug, problemTypes } from "./problem-types.ts";

/** A page of text; what `default-src` does not cover is named. */
const contentSecurityPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const slugField = Type.String({ description: "The last part of a problem's `type`.", examples: Object.keys(problemTypes) });

/** The pages that the `type` of a problem leads to. */
export const problemRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    "/problems/:slug",
    {
      config: { scope: "read" },
      schema: {
        operationId: "getProblemType",
        tags: ["problems"],
        summary: "Read what a problem means",
        description: "The page behind the `type` of a problem document: its meaning and its remedies.",
        params: strictObject({ slug: slugField }),
        querystring: strictObject({}),
        response: {
          200: content("The page.", "text/html", Type.String()),
          ...problems("invalid-input", "not-found", "uri-too-long"),
        },
      },
    },
    async ({ params: { slug } }, reply) => {
      if (!isProblemSlug(slug)) throw new ApiProblem("not-found", "There is no problem of this type.");
      const page = problemPage(slug, problemTypes[slug]);
      return reply.type("text/html; charset=utf-8").header("content-security-policy", contentSecurityPolicy).send(page);
    },
  );
};
