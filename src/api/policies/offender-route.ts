import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import { compareNetworks, parseNetwork } from "../../domain/network.ts";
import type { Offender } from "../../domain/policy.ts";
import type { PolicyService } from "../../domain/services.ts";
import { reference } from "../fields.ts";
import type { Cursors } from "../lists/cursors.ts";
import { listOf, listQuery, pageOf, type Walk } from "../lists/pages.ts";
import { json, problems } from "../openapi/responses.ts";
import { presentOffender } from "./representation.ts";
import { OffenderResource, PolicyPath } from "./schemas.ts";

export interface OffenderRouteOptions {
  readonly policies: PolicyService;
  readonly cursors: Cursors;
}

export const offenderRoute: FastifyPluginAsyncTypebox<OffenderRouteOptions> = async (app, { policies, cursors }) => {
  app.get(
    "/v1/policies/:name/offenders",
    {
      config: { scope: "read" },
      schema: {
        operationId: "listOffenders",
        tags: ["policies"],
        summary: "List the sources seen over the limit",
        description:
          "Newest first, each with what the policy does to it. In the mode `observe` nothing is refused, and the list says who would be: read it for a day before you enforce a limit.",
        params: PolicyPath,
        querystring: listQuery({}),
        response: {
          200: json("One page of offenders.", listOf(reference(OffenderResource))),
          ...problems("invalid-input", "not-found", "uri-too-long", "not-ready"),
        },
      },
    },
    async ({ params, query }) => {
      const offenders = (await policies.offenders(params.name)).toSorted(newestFirst);
      const { items, nextCursor } = pageOf(offenders, query, offenderWalk(params.name), cursors);
      return { items: items.map(presentOffender), nextCursor };
    },
  );
};

function offenderWalk(name: string): Walk<Offender> {
  return {
    scope: ["/v1/policies/:name/offenders", name],
    keyOf: ({ lastSeenAt, source }) => `${lastSeenAt} ${source}`,
    isAfter(key) {
      const [lastSeenAt = "", source = ""] = key.split(" ");
      const position = { lastSeenAt: Number(lastSeenAt), source };
      return (offender) => newestFirst(offender, position) > 0;
    },
  };
}

/** The order of the list; sources that were seen at the same moment stand in the order of their addresses. */
function newestFirst(a: Pick<Offender, "lastSeenAt" | "source">, b: Pick<Offender, "lastSeenAt" | "source">): number {
  return b.lastSeenAt - a.lastSeenAt || compareNetworks(parseNetwork(a.source), parseNetwork(b.source));
}
