import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { BanService } from "../../domain/services.ts";
import { reference, strictObject } from "../fields.ts";
import { dryRunHeaders, presentForesight } from "../foresight/representation.ts";
import { bodyProblems, json, oneOf, problems } from "../openapi/responses.ts";
import { overloaded } from "../problems/problem-from-error.ts";
import { writeParameters, writeTerms } from "../requests/write-terms.ts";
import { assertBounded, assertNotEmpty, itemCount } from "./batch-bounds.ts";
import { BanBatchBody, BanBatchResult, BatchForesightResource } from "./batch-schemas.ts";
import { batchRequest, presentBatch } from "./representation.ts";

export interface BatchRouteOptions {
  readonly bans: BanService;
}

/** Bytes: room for 10,000 bans, each with the longest reason in ASCII and an end. */
const bodyLimit = 4_194_304;
const result = reference(BanBatchResult);

/** From how many items on a batch is large: it keeps the event loop busy for some tens of milliseconds or more. */
const largeBatch = 1000;
/** Large batches at a time: others wait for them, so that more would only fill the memory and keep everybody from being answered. */
const largeBatches = 4;

export const batchRoute: FastifyPluginAsyncTypebox<BatchRouteOptions> = async (app, { bans }) => {
  const underWay = new Set<string>();
  app.post(
    "/v1/bans/batch",
    {
      bodyLimit,
      config: { scope: "bans:write" },
      preValidation: async ({ id, body }) => {
        assertBounded(body);
        if (itemCount(body) < largeBatch) return;
        if (underWay.size >= largeBatches) throw overloaded(`${largeBatches} large batches are under way.`);
        underWay.add(id);
      },
      onResponse: async ({ id }) => void underWay.delete(id),
      schema: {
        operationId: "writeBans",
        tags: ["bans"],
        summary: "Ban and lift many at once",
        description:
          "All or nothing: where one item can't be taken, nothing is changed, and the answer points at it (`/put/17/address`). The body has at most 4 MiB.",
        querystring: strictObject(writeParameters),
        body: reference(BanBatchBody),
        response: {
          200: json(
            "All of it is stored durably and in the kernel; or what it would do, for a dry run.",
            oneOf(result, reference(BatchForesightResource)),
            "Connlimitd-Changed",
          ),
          202: json(
            "All of it is stored durably, but not in the kernel yet; the service keeps trying.",
            result,
            "Connlimitd-Changed",
          ),
          ...problems(...bodyProblems, "lockout", "network-unsupported", "not-ready", "store-unwritable", "no-room"),
        },
      },
    },
    async ({ caller, query, body }, reply) => {
      assertNotEmpty(body);
      const write = [batchRequest(body), writeTerms(caller, query)] as const;
      if (query.dryRun === true) {
        const foresight = await bans.foresee.batch(...write);
        return reply.headers(dryRunHeaders).send(presentForesight(foresight, presentBatch(foresight.result)));
      }
      const outcome = await bans.batch(...write);
      const changed = outcome.created + outcome.updated + outcome.deleted > 0;
      return reply
        .code(outcome.enforced ? 200 : 202)
        .header("connlimitd-changed", String(changed))
        .send(presentBatch(outcome));
    },
  );
};
