import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Ban } from "../../domain/ban.ts";
import { networkFrom } from "../../domain/ban-rules.ts";
import { banVersion } from "../../domain/ban-service.ts";
import type { Foresight } from "../../domain/foresight.ts";
import { compareNetworks, formatNetwork, parseNetwork } from "../../domain/network.ts";
import type { BanFilter, BanOutcome, BanService, WrittenBan } from "../../domain/services.ts";
import { reference, strictObject } from "../fields.ts";
import { dryRunHeaders, presentForesight } from "../foresight/representation.ts";
import { LiftForesightResource } from "../foresight/schemas.ts";
import type { Cursors } from "../lists/cursors.ts";
import { listOf, listQuery, pageOf, partOf, type Walk } from "../lists/pages.ts";
import { bodyProblems, dryRun, empty, json, oneOf, problems } from "../openapi/responses.ts";
import { invalidInput } from "../problems/problem.ts";
import { assertCreatable, conditionHeaders, etag, readConditions } from "../requests/conditions.ts";
import { Pending, postStatus, putStatus, removalAnswer, writeHeaders } from "../requests/write-answer.ts";
import { writeParameters, writeTerms } from "../requests/write-terms.ts";
import { banRequest, presentBan, presentWrittenBan } from "./representation.ts";
import {
  BanForesightResource,
  BanPath,
  BanReplacement,
  BanResource,
  banFilters,
  liftQuery,
  NewBan,
  readOnlyBanFields,
  WrittenBanResource,
} from "./schemas.ts";

export interface BanRouteOptions {
  readonly bans: BanService;
  readonly cursors: Cursors;
}

const tags = ["bans"];
const noQuery = strictObject({});
const writeQuery = strictObject(writeParameters);
const config = { readOnlyFields: readOnlyBanFields, scope: "bans:write" } as const;
const ban = reference(BanResource);
const written = reference(WrittenBanResource);
const foresight = reference(BanForesightResource);
const writeProblems = [
  ...bodyProblems,
  "lockout",
  "precondition-failed",
  "network-unsupported",
  "not-ready",
  "store-unwritable",
  "no-room",
] as const;
const pending = json(
  "Stored durably, but not in the kernel yet: `enforced` is false, and the service keeps trying.",
  written,
  "ETag",
  "Connlimitd-Changed",
);

export const banRoutes: FastifyPluginAsyncTypebox<BanRouteOptions> = async (app, { bans, cursors }) => {
  app.get(
    "/v1/bans",
    {
      config: { scope: "read" },
      schema: {
        operationId: "listBans",
        tags,
        summary: "List the bans",
        description: "The operators' and those that the kernel made because of a policy, sorted by address. Filters add up.",
        querystring: listQuery(banFilters),
        response: { 200: json("One page of bans.", listOf(ban)), ...problems("invalid-input") },
      },
    },
    async ({ query }) => {
      const { limit: _limit, cursor: _cursor, ...filter } = query;
      const walk = banWalk(filter);
      const found = await bans.list(filter, partOf(query, walk, cursors));
      const { items, nextCursor } = pageOf(found, query, walk, cursors);
      return { items: items.map(presentBan), nextCursor };
    },
  );

  app.post(
    "/v1/bans",
    {
      config,
      schema: {
        operationId: "createBan",
        tags,
        summary: "Ban an address",
        description: "409 where an operator has banned it already; PUT sets the ban anew.",
        querystring: writeQuery,
        headers: conditionHeaders,
        body: reference(NewBan),
        response: {
          200: dryRun(foresight),
          201: json("Stored durably and in the kernel.", written, "ETag", "Location", "Connlimitd-Changed"),
          202: pending,
          ...problems(...writeProblems, "already-exists"),
        },
      },
    },
    async ({ caller, query, body, headers }, reply) => {
      const address = formatNetwork(networkFrom(body.address, "/address"));
      await assertCreatable(readConditions(headers), async () => banVersion(await bans.get(address)));
      const write = [address, banRequest(body), writeTerms(caller, query)] as const;
      if (query.dryRun === true) return reply.headers(dryRunHeaders).send(presentDryRun(await bans.foresee.create(...write)));
      const outcome = await bans.create(...write);
      return reply.code(postStatus(outcome)).headers(headersOf(outcome)).send(presentWrittenBan(outcome));
    },
  );

  app.get(
    "/v1/bans/:address",
    {
      config: { scope: "read" },
      schema: {
        operationId: "getBan",
        tags,
        summary: "Read a ban",
        description: "Of exactly this address or network; `GET /v1/bans?covers=` finds the networks that hold an address.",
        params: BanPath,
        querystring: noQuery,
        response: { 200: json("The ban.", ban, "ETag"), ...problems("invalid-input", "not-found", "uri-too-long") },
      },
    },
    async ({ params }, reply) => {
      const found = await bans.get(addressOf(params.address));
      return reply.header("etag", etag(banVersion(found))).send(presentBan(found));
    },
  );

  app.put(
    "/v1/bans/:address",
    {
      config,
      schema: {
        operationId: "putBan",
        tags,
        summary: "Ban an address, or set its ban anew",
        description: "Sets the operator's cause and starts its time anew.",
        params: BanPath,
        querystring: writeQuery,
        headers: conditionHeaders,
        body: reference(BanReplacement),
        response: {
          200: json(
            "Set, or as it was; stored durably and in the kernel. Or what the write would do, for a dry run, without an ETag.",
            oneOf(written, foresight),
            "ETag",
            "Connlimitd-Changed",
          ),
          201: json("Created; stored durably and in the kernel.", written, "ETag", "Location", "Connlimitd-Changed"),
          202: pending,
          ...problems(...writeProblems, "uri-too-long"),
        },
      },
    },
    async ({ caller, params, query, body, headers }, reply) => {
      const address = addressOf(params.address);
      assertSameAddress(address, body.address);
      const write = [address, banRequest(body), readConditions(headers), writeTerms(caller, query)] as const;
      if (query.dryRun === true) return reply.headers(dryRunHeaders).send(presentDryRun(await bans.foresee.put(...write)));
      const outcome = await bans.put(...write);
      return reply.code(putStatus(outcome)).headers(headersOf(outcome)).send(presentWrittenBan(outcome));
    },
  );

  app.delete(
    "/v1/bans/:address",
    {
      config: { scope: "bans:write" },
      schema: {
        operationId: "deleteBan",
        tags,
        summary: "Lift a ban",
        description:
          "Removes every cause, in the store and in the kernel, whoever made it. With `graceSeconds`, policies do not ban the address again before that time is over; without it, the next connection over a limit does.",
        params: BanPath,
        querystring: liftQuery,
        headers: conditionHeaders,
        response: {
          200: dryRun(reference(LiftForesightResource)),
          202: json(
            "Removed from the store, but still in the kernel; the service keeps trying.",
            reference(Pending),
            "Connlimitd-Changed",
          ),
          204: empty("Lifted, in the store and in the kernel.", "Connlimitd-Changed"),
          ...problems(
            "invalid-input",
            "insufficient-scope",
            "not-found",
            "uri-too-long",
            "precondition-failed",
            "not-ready",
            "store-unwritable",
          ),
        },
      },
    },
    async ({ caller, params, query, headers }, reply) => {
      const removal = query.graceSeconds === undefined ? {} : { graceSeconds: query.graceSeconds };
      const write = [addressOf(params.address), readConditions(headers), writeTerms(caller, query), removal] as const;
      if (query.dryRun === true)
        return reply.headers(dryRunHeaders).send(presentForesight(await bans.foresee.remove(...write), null));
      const { enforced } = await bans.remove(...write);
      const { status, headers: answered, body } = removalAnswer(enforced, "It is removed from the store");
      return reply.code(status).headers(answered).send(body);
    },
  );
};

function presentDryRun(foresight: Foresight<WrittenBan>) {
  return presentForesight(foresight, presentWrittenBan(foresight.result));
}

function headersOf(outcome: BanOutcome) {
  const { resource } = outcome;
  return writeHeaders(outcome, banVersion(resource), `/v1/bans/${resource.address.replace("/", "%2F")}`);
}

function banWalk(filter: BanFilter): Walk<Ban> {
  return {
    scope: ["/v1/bans", filter.by, filter.policy, filter.covers, filter.within],
    keyOf: ({ address }) => address,
    isAfter(key) {
      const position = parseNetwork(key);
      return ({ address }) => compareNetworks(parseNetwork(address), position) > 0;
    },
  };
}

/** The canonical address in a path. @throws {DomainError} `invalid-input` */
function addressOf(text: string): string {
  return formatNetwork(networkFrom(text, "address"));
}

function assertSameAddress(path: string, body: string | undefined): void {
  if (body === undefined || formatNetwork(networkFrom(body, "/address")) === path) return;
  throw invalidInput([{ pointer: "/address", message: `must be ${JSON.stringify(path)}, as in the path, or be left out` }]);
}
