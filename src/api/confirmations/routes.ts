import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Confirmation } from "../../domain/confirmation.ts";
import type { ConfirmationService } from "../../domain/services.ts";
import { reference, strictObject } from "../fields.ts";
import type { Cursors } from "../lists/cursors.ts";
import { listOf, listQuery, pageOf, type Walk } from "../lists/pages.ts";
import { empty, json, problems } from "../openapi/responses.ts";
import { Pending, removalAnswer } from "../requests/write-answer.ts";
import { presentConfirmation } from "./representation.ts";
import { ConfirmationPath, ConfirmationResource } from "./schemas.ts";

export interface ConfirmationRouteOptions {
  readonly confirmations: ConfirmationService;
  readonly cursors: Cursors;
}

const tags = ["confirmations"];
const confirmation = reference(ConfirmationResource);

const confirmationWalk: Walk<Confirmation> = {
  scope: ["/v1/confirmations"],
  keyOf: ({ revertsAt, id }) => `${revertsAt} ${id}`,
  isAfter(key) {
    const [time = "", lastId = ""] = key.split(" ");
    const lastTime = Number(time);
    return ({ revertsAt, id }) => revertsAt > lastTime || (revertsAt === lastTime && id > lastId);
  },
};

export const confirmationRoutes: FastifyPluginAsyncTypebox<ConfirmationRouteOptions> = async (
  app,
  { confirmations, cursors },
) => {
  app.get(
    "/v1/confirmations",
    {
      config: { scope: "read" },
      schema: {
        operationId: "listConfirmations",
        tags,
        summary: "List the changes that wait for their confirmation",
        description: "The next to be undone first.",
        querystring: listQuery({}),
        response: { 200: json("One page of confirmations.", listOf(confirmation)), ...problems("invalid-input") },
      },
    },
    async ({ query }) => {
      const { items, nextCursor } = pageOf(confirmations.list(), query, confirmationWalk, cursors);
      return { items: items.map(presentConfirmation), nextCursor };
    },
  );

  app.post(
    "/v1/confirmations/:id",
    {
      config: { takesNoBody: true, scope: "policies:write" },
      schema: {
        operationId: "confirmChange",
        tags,
        summary: "Keep a change",
        description: "Takes no body. A change that is confirmed is no longer there: confirming it again is 404.",
        params: ConfirmationPath,
        querystring: strictObject({}),
        response: {
          200: json("The change stays; this was its confirmation. Stored durably.", confirmation, "Connlimitd-Changed"),
          ...problems(
            "invalid-input",
            "insufficient-scope",
            "not-found",
            "gone",
            "uri-too-long",
            "unsupported-media-type",
            "store-unwritable",
          ),
        },
      },
    },
    async ({ caller, params }, reply) => {
      const confirmed = await confirmations.confirm(params.id, { caller });
      return reply.header("connlimitd-changed", "true").send(presentConfirmation(confirmed));
    },
  );

  app.delete(
    "/v1/confirmations/:id",
    {
      config: { scope: "policies:write" },
      schema: {
        operationId: "revertChange",
        tags,
        summary: "Undo a change at once",
        description: "What stood there before the change comes back, as a new revision.",
        params: ConfirmationPath,
        querystring: strictObject({}),
        response: {
          202: json(
            "Undone in the store, but not in the kernel yet; the service keeps trying.",
            reference(Pending),
            "Connlimitd-Changed",
          ),
          204: empty("Undone, in the store and in the kernel.", "Connlimitd-Changed"),
          ...problems("invalid-input", "insufficient-scope", "not-found", "gone", "uri-too-long", "store-unwritable"),
        },
      },
    },
    async ({ caller, params }, reply) => {
      const { enforced } = await confirmations.revert(params.id, { caller });
      const { status, headers, body } = removalAnswer(enforced, "It is undone in the store");
      return reply.code(status).headers(headers).send(body);
    },
  );
};
