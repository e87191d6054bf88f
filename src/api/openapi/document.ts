import type { FastifyDynamicSwaggerOptions } from "@fastify/swagger";
import type { FastifyInstance } from "fastify";
import { AuditEntryResource } from "../audit/schemas.ts";
import { BanBatchBody, BanBatchResult, BatchForesightResource } from "../bans/batch-schemas.ts";
import { BanForesightResource, BanReplacement, BanResource, NewBan, WrittenBanResource } from "../bans/schemas.ts";
import { CheckResource } from "../check/schemas.ts";
import { ArmedConfirmationResource, ConfirmationResource } from "../confirmations/schemas.ts";
import { DistributionResource, SourceResource } from "../connections/schemas.ts";
import { ImpactResource, LiftForesightResource, WritePlanResource } from "../foresight/schemas.ts";
import {
  NewPolicy,
  OffenderResource,
  PendingPolicyRemoval,
  PolicyForesightResource,
  PolicyPatch,
  PolicyRemoval,
  PolicyRemovalForesightResource,
  PolicyReplacement,
  PolicyResource,
  WrittenPolicy,
} from "../policies/schemas.ts";
import { RecentListResource, RecentListSummaryResource } from "../recent/schemas.ts";
import type { KnownRoutes } from "../requests/method-not-allowed.ts";
import { Pending } from "../requests/write-answer.ts";
import { StatusResource } from "../status/schemas.ts";
import { IssuedTokenResource, NewToken, TokenForesightResource, TokenResource } from "../tokens/schemas.ts";
import { documentRoutes } from "./documented-routes.ts";
import { Problem, problemExamples } from "./responses.ts";

/** The schemas that have a name in the document and are referred to by it. */
const namedSchemas = [
  Problem,
  ArmedConfirmationResource,
  ConfirmationResource,
  WritePlanResource,
  ImpactResource,
  Pending,
  LiftForesightResource,
  PolicyResource,
  NewPolicy,
  PolicyReplacement,
  PolicyPatch,
  WrittenPolicy,
  PolicyRemoval,
  PendingPolicyRemoval,
  PolicyForesightResource,
  PolicyRemovalForesightResource,
  OffenderResource,
  BanResource,
  NewBan,
  BanReplacement,
  WrittenBanResource,
  BanForesightResource,
  BanBatchBody,
  BanBatchResult,
  BatchForesightResource,
  CheckResource,
  SourceResource,
  DistributionResource,
  StatusResource,
  RecentListSummaryResource,
  RecentListResource,
  TokenResource,
  NewToken,
  IssuedTokenResource,
  TokenForesightResource,
  AuditEntryResource,
];

const description = `Connection-limit policies and bans for the host that it runs on, enforced by netfilter.

- JSON in and out; every error is a problem document (RFC 9457) whose \`type\` is a page of this service.
- Input is strict: unknown fields, unknown parameters and wrong types are errors; nothing is dropped or converted.
- 200, 201 and 204 mean: stored durably *and* in the kernel. 202: stored durably, and on its way into the kernel.
- Every write answers with \`Connlimitd-Changed\`. Single resources carry a strong \`ETag\`; writes take \`If-Match\` and \`If-None-Match: *\`.
- \`?dryRun=true\` on a write of a policy or a ban answers 200 with what it would do, and does nothing; what the write would be refused for, the dry run is refused for.
- A write that would shut out its caller, an SSH client, a gateway or this host is 409; \`?allowLockout=true\` overrides that for the scope \`admin\`.
- \`?confirmWithin=SECONDS\` on a write of a policy undoes it unless \`POST /v1/confirmations/{id}\` keeps it in time.
- Every answer has an \`X-Request-Id\`, under which the log and \`GET /v1/audit\` know the request.
- A path that exists answers 405 with \`Allow\` to other methods. Requests that arrive too slowly get 408, too large headers 431; 503 with \`Retry-After\` says that there is too much to do.
- Every operation says which scope its token needs; \`admin\` has all of them. Over a unix socket no token is needed.`;

/** Gives the server the schemas that have a name, and the OpenAPI 3.1 document of its routes: `app.swagger()`, once it is ready. */
export function describeRoutes(app: FastifyInstance, routes: KnownRoutes, version: string): void {
  for (const schema of namedSchemas) app.addSchema(schema);
  let document: FastifyInstance["swagger"] | undefined;
  app.decorate("swagger", {
    getter() {
      document ??= documentRoutes([...routes.values()].flat(), app.getSchemas(), documentOptions(version));
      return document;
    },
  });
}

function documentOptions(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: "3.1.0",
      info: { title: "connlimitd", version, description, license: { name: "MIT", identifier: "MIT" } },
      servers: [{ url: "http://127.0.0.1:7306", description: "Where it listens unless it is told otherwise." }],
      tags: [
        { name: "policies", description: "How many connections a source may hold, and what it gets for more." },
        { name: "confirmations", description: "Changes of policies that are undone unless somebody keeps them." },
        { name: "bans", description: "Whose packets are refused, and why." },
        { name: "looking", description: "What the kernel does now; nothing is changed." },
        { name: "access", description: "Who may, and who did what." },
        { name: "health", description: "For supervisors." },
        { name: "problems", description: "What the errors mean." },
        { name: "openapi", description: "This document." },
      ],
      security: [{ bearer: [] }],
      components: {
        examples: problemExamples(),
        securitySchemes: {
          bearer: {
            type: "http",
            scheme: "bearer",
            description:
              "`admin.token` in the state directory has the first one, with the scope `admin`; `POST /v1/tokens` makes others. The scope that an operation needs stands beside it; `admin` has all of them.",
          },
        },
      },
    },
    convertConstToEnum: false,
    refResolver: {
      buildLocalReference: ({ $id }, _baseUri, _fragment, index) => (typeof $id === "string" ? $id : `schema-${index}`),
    },
  };
}
