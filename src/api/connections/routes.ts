import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import { compareNetworks, parseNetwork } from "../../domain/network.ts";
import type { LookService, SourceConnections } from "../../domain/services.ts";
import { reference } from "../fields.ts";
import type { Cursors } from "../lists/cursors.ts";
import { listQuery, listWith, pageOf, type Walk } from "../lists/pages.ts";
import { json, problems } from "../openapi/responses.ts";
import { connectionFilters, DistributionResource, SourceResource } from "./schemas.ts";

export interface ConnectionRouteOptions {
  readonly look: LookService;
  readonly cursors: Cursors;
}

const page = listWith(reference(SourceResource), { distribution: reference(DistributionResource) });

export const connectionRoutes: FastifyPluginAsyncTypebox<ConnectionRouteOptions> = async (app, { look, cursors }) => {
  app.get(
    "/v1/connections",
    {
      config: { scope: "read" },
      schema: {
        operationId: "listConnections",
        tags: ["looking"],
        summary: "List the sources by open connections",
        description:
          "From connection tracking, most connections first. Each page is measured anew: a source whose count changes between two pages may move from one to the other.",
        querystring: listQuery(connectionFilters),
        response: { 200: json("One page of sources.", page), ...problems("invalid-input", "not-ready") },
      },
    },
    async ({ query }) => {
      const { port } = query;
      const { sources, distribution } = await look.connections(port === undefined ? {} : { port });
      const { items, nextCursor } = pageOf(sources, query, sourceWalk(port), cursors);
      return { items: items.map(({ source, connections }) => ({ source, connections })), nextCursor, distribution };
    },
  );
};

/** A position is after a count and an address, whether a source with this count is still there or not. */
function sourceWalk(port: number | undefined): Walk<SourceConnections> {
  return {
    scope: ["/v1/connections", port],
    keyOf: ({ connections, source }) => `${connections} ${source}`,
    isAfter(key) {
      const [count = "", address = ""] = key.split(" ");
      const [connections, network] = [Number(count), parseNetwork(address)];
      return (item) =>
        item.connections < connections ||
        (item.connections === connections && compareNetworks(parseNetwork(item.source), network) > 0);
    },
  };
}
