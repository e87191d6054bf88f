import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Foresight } from "../../domain/foresight.ts";
import type { Policy, PolicySpec } from "../../domain/policy.ts";
import { policyVersion } from "../../domain/policy-service.ts";
import type { Enforcer } from "../../domain/ports.ts";
import type { PolicyOutcome, PolicyService } from "../../domain/services.ts";
import { confirmationPart } from "../confirmations/representation.ts";
import { reference, strictObject } from "../fields.ts";
import { dryRunHeaders, presentForesight } from "../foresight/representation.ts";
import type { Cursors } from "../lists/cursors.ts";
import { listOf, listQuery, pageOf, type Walk } from "../lists/pages.ts";
import { bodyProblems, dryRun, empty, json, oneOf, problems } from "../openapi/responses.ts";
import { invalidInput } from "../problems/problem.ts";
import { assertCreatable, conditionHeaders, etag, readConditions } from "../requests/conditions.ts";
import { acceptMergePatch } from "../requests/json-body.ts";
import { patchStatus, postStatus, putStatus, removalAnswerWith, writeHeaders } from "../requests/write-answer.ts";
import { policyWriteParameters, policyWriteTerms } from "../requests/write-terms.ts";
import { applyPatch, foreseenEnforcement, presentPolicy, specFromInput } from "./representation.ts";
import {
  NewPolicy,
  PendingPolicyRemoval,
  PolicyForesightResource,
  PolicyPatch,
  PolicyPath,
  PolicyRemoval,
  PolicyRemovalForesightResource,
  PolicyReplacement,
  PolicyResource,
  readOnlyPolicyFields,
  WrittenPolicy,
} from "./schemas.ts";

export interface PolicyRouteOptions {
  readonly policies: PolicyService;
  readonly enforcer: Enforcer;
  readonly cursors: Cursors;
}

const tags = ["policies"];
const noQuery = strictObject({});
const writeQuery = strictObject(policyWriteParameters);
const config = { readOnlyFields: readOnlyPolicyFields, scope: "policies:write" } as const;
const policy = reference(PolicyResource);
const written = reference(WrittenPolicy);
const foresight = reference(PolicyForesightResource);
const writeProblems = [
  ...bodyProblems,
  "lockout",
  "unconfirmed",
  "precondition-failed",
  "kernel-refused",
  "not-ready",
  "store-unwritable",
] as const;
const pending = json(
  "Stored durably, but not in the kernel yet: `enforcement.state` is `pending`, and the service keeps trying.",
  written,
  "ETag",
  "Connlimitd-Changed",
);
const orDryRun = "Or what the write would do, for a dry run, without an ETag.";

/** What callers ask of a write besides. */
interface ConfirmQuery {
  readonly confirmWithin?: number;
}

const policyWalk: Walk<Policy> = {
  scope: ["/v1/policies"],
  keyOf: ({ name }) => name,
  isAfter:
    (key) =>
    ({ name }) =>
      name > key,
};

export const policyRoutes: FastifyPluginAsyncTypebox<PolicyRouteOptions> = async (app, { policies, enforcer, cursors }) => {
  const present = (policy: Policy) => presentPolicy(policy, enforcer.enforcementOf(policy));
  const presentWritten = ({ resource, confirmation }: PolicyOutcome, query: ConfirmQuery) => ({
    ...present(resource),
    ...confirmationPart(query, confirmation),
  });
  const presentDryRun = (foresight: Foresight<Policy>, query: ConfirmQuery) => {
    const { result, changed } = foresight;
    const presented = presentPolicy(result, foreseenEnforcement(result, changed, enforcer));
    return presentForesight(foresight, { ...presented, ...confirmationPart(query, null) });
  };
  const headersOf = (outcome: PolicyOutcome) =>
    writeHeaders(outcome, policyVersion(outcome.resource), `/v1/policies/${outcome.resource.name}`);

  app.get(
    "/v1/policies",
    {
      config: { scope: "read" },
      schema: {
        operationId: "listPolicies",
        tags,
        summary: "List the policies",
        description: "Sorted by name.",
        querystring: listQuery({}),
        response: { 200: json("One page of policies.", listOf(policy)), ...problems("invalid-input") },
      },
    },
    async ({ query }) => {
      const { items, nextCursor } = pageOf(policies.list(), query, policyWalk, cursors);
      return { items: items.map(present), nextCursor };
    },
  );

  app.post(
    "/v1/policies",
    {
      config,
      schema: {
        operationId: "createPolicy",
        tags,
        summary: "Create a policy",
        description: "409 where the name is taken; PUT creates or replaces.",
        querystring: writeQuery,
        headers: conditionHeaders,
        body: reference(NewPolicy),
        response: {
          200: dryRun(foresight),
          201: json("Stored durably and in the kernel.", written, "ETag", "Location", "Connlimitd-Changed"),
          202: pending,
          ...problems(...writeProblems, "already-exists"),
        },
      },
    },
    async ({ caller, query, body, headers }, reply) => {
      await assertCreatable(readConditions(headers), async () => policyVersion(policies.get(body.name)));
      const write = [body.name, specFromInput(body), policyWriteTerms(caller, query)] as const;
      if (query.dryRun === true)
        return reply.headers(dryRunHeaders).send(presentDryRun(await policies.foresee.create(...write), query));
      const outcome = await policies.create(...write);
      return reply.code(postStatus(outcome)).headers(headersOf(outcome)).send(presentWritten(outcome, query));
    },
  );

  app.get(
    "/v1/policies/:name",
    {
      config: { scope: "read" },
      schema: {
        operationId: "getPolicy",
        tags,
        summary: "Read a policy",
        params: PolicyPath,
        querystring: noQuery,
        response: { 200: json("The policy.", policy, "ETag"), ...problems("invalid-input", "not-found", "uri-too-long") },
      },
    },
    async ({ params }, reply) => {
      const found = policies.get(params.name);
      return reply.header("etag", etag(policyVersion(found))).send(present(found));
    },
  );

  app.put(
    "/v1/policies/:name",
    {
      config,
      schema: {
        operationId: "putPolicy",
        tags,
        summary: "Create or replace a policy",
        description: "What is left out gets its default. The same body again changes nothing.",
        params: PolicyPath,
        querystring: writeQuery,
        headers: conditionHeaders,
        body: reference(PolicyReplacement),
        response: {
          200: json(
            `Replaced, or as it was; stored durably and in the kernel. ${orDryRun}`,
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
      assertSameName(params.name, body.name);
      const write = [params.name, specFromInput(body), readConditions(headers), policyWriteTerms(caller, query)] as const;
      if (query.dryRun === true)
        return reply.headers(dryRunHeaders).send(presentDryRun(await policies.foresee.put(...write), query));
      const outcome = await policies.put(...write);
      return reply.code(putStatus(outcome)).headers(headersOf(outcome)).send(presentWritten(outcome, query));
    },
  );

  // In its own scope, as PATCH alone takes another media type.
  app.register(async (scope: typeof app) => {
    acceptMergePatch(scope);
    scope.patch(
      "/v1/policies/:name",
      {
        config,
        schema: {
          operationId: "patchPolicy",
          tags,
          summary: "Change parts of a policy",
          params: PolicyPath,
          querystring: writeQuery,
          headers: conditionHeaders,
          consumes: ["application/merge-patch+json", "application/json"],
          body: reference(PolicyPatch),
          response: {
            200: json(
              `Changed, or as it was; stored durably and in the kernel. ${orDryRun}`,
              oneOf(written, foresight),
              "ETag",
              "Connlimitd-Changed",
            ),
            202: pending,
            ...problems(...writeProblems, "not-found", "uri-too-long"),
          },
        },
      },
      async ({ caller, params, query, body, headers }, reply) => {
        assertSameName(params.name, body.name);
        const edit = (current: PolicySpec) => applyPatch(current, body);
        const write = [params.name, edit, readConditions(headers), policyWriteTerms(caller, query)] as const;
        if (query.dryRun === true)
          return reply.headers(dryRunHeaders).send(presentDryRun(await policies.foresee.edit(...write), query));
        const outcome = await policies.edit(...write);
        return reply.code(patchStatus(outcome)).headers(headersOf(outcome)).send(presentWritten(outcome, query));
      },
    );
  });

  app.delete(
    "/v1/policies/:name",
    {
      config: { scope: "policies:write" },
      schema: {
        operationId: "deletePolicy",
        tags,
        summary: "Remove a policy",
        params: PolicyPath,
        querystring: writeQuery,
        headers: conditionHeaders,
        response: {
          200: json(
            "Removed, from the store and from the kernel, until it comes back unless that is confirmed (`confirmWithin`). Or what the write would do, for a dry run.",
            oneOf(reference(PolicyRemoval), reference(PolicyRemovalForesightResource)),
            "Connlimitd-Changed",
          ),
          202: json(
            "Removed from the store, but still in the kernel; the service keeps trying.",
            reference(PendingPolicyRemoval),
            "Connlimitd-Changed",
          ),
          204: empty("Removed, from the store and from the kernel.", "Connlimitd-Changed"),
          ...problems(
            "invalid-input",
            "insufficient-scope",
            "not-found",
            "uri-too-long",
            "unconfirmed",
            "precondition-failed",
            "not-ready",
            "store-unwritable",
          ),
        },
      },
    },
    async ({ caller, params, query, headers }, reply) => {
      const write = [params.name, readConditions(headers), policyWriteTerms(caller, query)] as const;
      if (query.dryRun === true) {
        const result = query.confirmWithin === undefined ? null : confirmationPart(query, null);
        return reply.headers(dryRunHeaders).send(presentForesight(await policies.foresee.remove(...write), result));
      }
      const { enforced, confirmation } = await policies.remove(...write);
      const more = confirmationPart(query, confirmation);
      const { status, headers: answered, body } = removalAnswerWith(more, enforced, "It is removed from the store");
      return reply.code(status).headers(answered).send(body);
    },
  );
};

function assertSameName(path: string, body: string | undefined): void {
  if (body === undefined || body === path) return;
  throw invalidInput([{ pointer: "/name", message: `must be ${JSON.stringify(path)}, as in the path, or be left out` }]);
}
