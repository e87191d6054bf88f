import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";
import type { AuditEntry, AuditFilter } from "../../domain/audit.ts";
import type { AuditService } from "../../domain/audit-service.ts";
import { formatTime, reference, timeFrom } from "../fields.ts";
import type { Cursors } from "../lists/cursors.ts";
import { defaultLimit, listOf, listQuery } from "../lists/pages.ts";
import { json, problems } from "../openapi/responses.ts";
import { invalidInput } from "../problems/problem.ts";
import { AuditEntryResource, auditFilters } from "./schemas.ts";

export interface AuditRouteOptions {
  readonly audit: Pick<AuditService, "list">;
  readonly cursors: Cursors;
}

export const auditRoutes: FastifyPluginAsyncTypebox<AuditRouteOptions> = async (app, { audit, cursors }) => {
  app.get(
    "/v1/audit",
    {
      config: { scope: "admin" },
      schema: {
        operationId: "listAudit",
        tags: ["access"],
        summary: "Who did what",
        description:
          "Newest first. A change stands here from the moment it is stored, as both are one transaction; a write that changed nothing and a dry run do not. Refusals (lockout, the kernel's, a scope or a token that will not do) stand here too, up to sixty a minute. The last 100,000 entries are kept. Filters add up.",
        querystring: listQuery(auditFilters),
        response: {
          200: json("One page of entries.", listOf(reference(AuditEntryResource))),
          ...problems("invalid-input", "insufficient-scope"),
        },
      },
    },
    async ({ query }) => {
      const { limit = defaultLimit, cursor, since, until, ...same } = query;
      const filter: AuditFilter = { ...same, ...timeIn("since", since), ...timeIn("until", until) };
      const scope = JSON.stringify(["/v1/audit", Object.entries(filter).sort()]);
      const position = cursor === undefined ? {} : { before: Number(cursors.decode(scope, cursor)) };
      // One more than is wanted tells whether there is another page.
      const entries = await audit.list(filter, { ...position, limit: limit + 1 });
      const page = entries.slice(0, limit);
      const last = page.at(-1);
      const nextCursor = last === undefined || entries.length <= limit ? null : cursors.encode(scope, String(last.id));
      return { items: page.map(presentEntry), nextCursor };
    },
  );
};

/** @throws {ApiProblem} `invalid-input` for a time that no clock shows */
function timeIn(name: "since" | "until", text: string | undefined): Pick<AuditFilter, "since" | "until"> {
  if (text === undefined) return {};
  const time = timeFrom(text);
  if (time === undefined) throw invalidInput([{ pointer: name, message: "must be an RFC 3339 time, and no leap second" }]);
  return { [name]: time };
}

function presentEntry(entry: AuditEntry): Static<typeof AuditEntryResource> {
  const { id, at, actor, address, action, resource, outcome, problem, detail, requestId } = entry;
  return {
    ...{ id, at: formatTime(at), actor, address, action, resource, outcome, problem, detail, requestId },
    revision: { before: entry.revisionBefore, after: entry.revisionAfter },
    before: entry.before,
    after: entry.after,
  };
}
