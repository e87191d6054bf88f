import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";
import type { Token } from "../../domain/token.ts";
import type { TokenRequest, TokenService } from "../../domain/token-service.ts";
import { formatEnd, formatTime, reference, strictObject, timeFrom } from "../fields.ts";
import { dryRunHeaders, presentForesight } from "../foresight/representation.ts";
import { LiftForesightResource } from "../foresight/schemas.ts";
import type { Cursors } from "../lists/cursors.ts";
import { listOf, listQuery, pageOf, type Walk } from "../lists/pages.ts";
import { bodyProblems, dryRun, empty, json, problems } from "../openapi/responses.ts";
import { invalidInput } from "../problems/problem.ts";
import { writeParameters, writeTerms } from "../requests/write-terms.ts";
import { IssuedTokenResource, NewToken, TokenForesightResource, TokenPath, TokenResource } from "./schemas.ts";

export interface TokenRouteOptions {
  readonly tokens: TokenService;
  readonly cursors: Cursors;
}

const tags = ["access"];
const config = { scope: "admin" } as const;
const writeQuery = strictObject({ dryRun: writeParameters.dryRun });

const tokenWalk: Walk<Token> = {
  scope: ["/v1/tokens"],
  keyOf: ({ name }) => name,
  isAfter:
    (key) =>
    ({ name }) =>
      name > key,
};

export const tokenRoutes: FastifyPluginAsyncTypebox<TokenRouteOptions> = async (app, { tokens, cursors }) => {
  app.get(
    "/v1/tokens",
    {
      config,
      schema: {
        operationId: "listTokens",
        tags,
        summary: "List the tokens",
        description: "Sorted by name, without their secrets. Expired ones stay in the list until they are removed.",
        querystring: listQuery({}),
        response: {
          200: json("One page of tokens.", listOf(reference(TokenResource))),
          ...problems("invalid-input", "insufficient-scope"),
        },
      },
    },
    async ({ query }) => {
      const { items, nextCursor } = pageOf(tokens.list(), query, tokenWalk, cursors);
      return { items: items.map(presentToken), nextCursor };
    },
  );

  app.post(
    "/v1/tokens",
    {
      config,
      schema: {
        operationId: "createToken",
        tags,
        summary: "Make a token",
        description:
          "The answer has the secret, once: of that, only a hash is kept. A token is never changed; to rotate one, make another and remove it. A scope to write includes reading, also of what it does not write; `admin` includes all scopes; `bans:write` and `policies:write` do not include each other.",
        querystring: writeQuery,
        body: reference(NewToken),
        response: {
          200: dryRun(reference(TokenForesightResource)),
          201: json("Made, and stored durably.", reference(IssuedTokenResource), "Location", "Connlimitd-Changed"),
          ...problems(...bodyProblems, "already-exists"),
        },
      },
    },
    async ({ caller, query, body }, reply) => {
      const asked = tokenRequest(body);
      if (query.dryRun === true) {
        const foresight = tokens.foresee.create(asked);
        return reply.headers(dryRunHeaders).send(presentForesight(foresight, presentToken(foresight.result)));
      }
      const { token, secret } = await tokens.create(asked, writeTerms(caller, {}));
      return reply
        .code(201)
        .headers({ location: `/v1/tokens/${token.name}`, "connlimitd-changed": "true" })
        .send({ ...presentToken(token), token: secret });
    },
  );

  app.delete(
    "/v1/tokens/:name",
    {
      config,
      schema: {
        operationId: "deleteToken",
        tags,
        summary: "Revoke a token",
        description: "At once: the next request with it is 401, on connections that are open too.",
        params: TokenPath,
        querystring: writeQuery,
        response: {
          200: dryRun(reference(LiftForesightResource)),
          204: empty("Revoked, durably.", "Connlimitd-Changed"),
          ...problems("invalid-input", "insufficient-scope", "not-found", "uri-too-long"),
        },
      },
    },
    async ({ caller, params, query }, reply) => {
      if (query.dryRun === true)
        return reply.headers(dryRunHeaders).send(presentForesight(tokens.foresee.remove(params.name), null));
      await tokens.remove(params.name, writeTerms(caller, {}));
      return reply.code(204).header("connlimitd-changed", "true").send();
    },
  );
};

function presentToken({ name, scopes, createdAt, expiresAt }: Token): Static<typeof TokenResource> {
  return { name, scopes: [...scopes], createdAt: formatTime(createdAt), expiresAt: formatEnd(expiresAt) };
}

/** @throws {ApiProblem} `invalid-input` for a time that no clock shows */
function tokenRequest({ name, scopes, expiresAt }: Static<typeof NewToken>): TokenRequest {
  if (expiresAt === undefined) return { name, scopes, expiresAt: null };
  const time = timeFrom(expiresAt);
  if (time === undefined)
    throw invalidInput([{ pointer: "/expiresAt", message: "must be an RFC 3339 time, and no leap second" }]);
  return { name, scopes, expiresAt: time };
}
