import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";
import type { Inspector, RecentList, RecentListSummary } from "../../domain/inspection.ts";
import { formatTime, reference, strictObject } from "../fields.ts";
import type { Cursors } from "../lists/cursors.ts";
import { listOf, listQuery, pageOf, type Walk } from "../lists/pages.ts";
import { json, problems } from "../openapi/responses.ts";
import { ApiProblem } from "../problems/problem.ts";
import { RecentListPath, RecentListResource, RecentListSummaryResource } from "./schemas.ts";

export interface RecentRouteOptions {
  readonly inspector: Inspector;
  readonly cursors: Cursors;
}

const tags = ["looking"];

const listWalk: Walk<RecentListSummary> = {
  scope: ["/v1/recent"],
  keyOf: ({ name }) => name,
  isAfter:
    (key) =>
    ({ name }) =>
      name > key,
};

export const recentRoutes: FastifyPluginAsyncTypebox<RecentRouteOptions> = async (app, { inspector, cursors }) => {
  app.get(
    "/v1/recent",
    {
      config: { scope: "read" },
      schema: {
        operationId: "listRecentLists",
        tags,
        summary: "List the kernel's xt_recent lists",
        description: "Every one on the host, those of others too. Sorted by name.",
        querystring: listQuery({}),
        response: {
          200: json("One page of lists.", listOf(reference(RecentListSummaryResource))),
          ...problems("invalid-input", "not-ready"),
        },
      },
    },
    async ({ query }) => {
      const { items, nextCursor } = pageOf(inspector.recentLists(), query, listWalk, cursors);
      return { items: items.map(({ name, own, entries, capacity }) => ({ name, own, entries, capacity })), nextCursor };
    },
  );

  app.get(
    "/v1/recent/:list",
    {
      config: { scope: "read" },
      schema: {
        operationId: "getRecentList",
        tags,
        summary: "Read one of the kernel's xt_recent lists",
        description: "With the kernel's jiffies turned into times. Nothing is changed.",
        params: RecentListPath,
        querystring: strictObject({}),
        response: {
          200: json("The list.", reference(RecentListResource)),
          ...problems("invalid-input", "not-found", "uri-too-long", "not-ready"),
        },
      },
    },
    async ({ params }) => {
      const found = isFileName(params.list) ? inspector.recentList(params.list) : undefined;
      if (found === undefined)
        throw new ApiProblem(
          "not-found",
          "There is no xt_recent list with this name. GET /v1/recent names those that there are.",
        );
      return presentList(found);
    },
  );
};

/** The kernel shows each list as a file, so that nothing else is the name of one. */
function isFileName(name: string): boolean {
  return name !== "." && name !== ".." && !name.includes("/") && !name.includes("\u0000");
}

function presentList({ name, own, capacity, entries }: RecentList): Static<typeof RecentListResource> {
  return {
    name,
    own,
    capacity,
    entries: entries.map(({ address, lastSeenAt, seenAt }) => ({
      address,
      lastSeenAt: formatTime(lastSeenAt),
      seenAt: seenAt.map(formatTime),
    })),
  };
}
