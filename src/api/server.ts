import { randomUUID } from "node:crypto";
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from "fastify";
import type { AuditService } from "../domain/audit-service.ts";
import type { Inspector } from "../domain/inspection.ts";
import type { Enforcer } from "../domain/ports.ts";
import type { BanService, ConfirmationService, LookService, PolicyService } from "../domain/services.ts";
import type { TokenService } from "../domain/token-service.ts";
import { type Access, createGate, guardAccess, type Transport } from "./access/access.ts";
import type { FailedAttempts } from "./access/failed-attempts.ts";
import { declareScopes } from "./access/scopes.ts";
import { auditRoutes } from "./audit/routes.ts";
import { batchRoute } from "./bans/batch-route.ts";
import { banRoutes } from "./bans/routes.ts";
import { checkRoutes } from "./check/routes.ts";
import { confirmationRoutes } from "./confirmations/routes.ts";
import type { ConnectionLimit } from "./connection-limit.ts";
import { connectionRoutes } from "./connections/routes.ts";
import { healthRoutes, type Readiness } from "./health/routes.ts";
import { createHttpServer } from "./http-server.ts";
import type { ListenerTls } from "./listener-tls.ts";
import { createCursors } from "./lists/cursors.ts";
import { describeRoutes } from "./openapi/document.ts";
import { openapiRoutes } from "./openapi/routes.ts";
import { offenderRoute } from "./policies/offender-route.ts";
import { policyRoutes } from "./policies/routes.ts";
import { answerClientError } from "./problems/client-errors.ts";
import { frameworkErrorHandler, handleErrors } from "./problems/error-handling.ts";
import { problemRoutes } from "./problems/routes.ts";
import { recentRoutes } from "./recent/routes.ts";
import { closeConnectionsWhenStopping, setCommonHeaders } from "./requests/answer-headers.ts";
import { acceptJson } from "./requests/json-body.ts";
import { buildLazyValidators } from "./requests/lazy-validators.ts";
import { createOtherMethods, noteRoutes } from "./requests/method-not-allowed.ts";
import { defaultOverloadLimits, type OverloadLimits, refuseOverload } from "./requests/overload.ts";
import "./requests/route-config.ts";
import { convertQueryValues, refuseAmbiguity } from "./requests/strictness.ts";
import type { PassHistory } from "./status/representation.ts";
import { statusRoutes } from "./status/routes.ts";
import { tokenRoutes } from "./tokens/routes.ts";

export interface ServerOptions {
  /** What it will listen on: `unix` makes every caller the actor `socket`, an administrator, `tcp` asks for a token. */
  readonly transport: Transport;
  readonly policies: PolicyService;
  readonly bans: BanService;
  readonly confirmations: ConfirmationService;
  readonly look: LookService;
  readonly tokens: TokenService;
  readonly audit: AuditService;
  readonly enforcer: Enforcer;
  readonly inspector: Inspector;
  /** What came of the passes, for the status. */
  readonly enforcement: PassHistory;
  readonly access: Access;
  /** Of all listeners together. */
  readonly attempts: FailedAttempts;
  /** What the `Host` of a request may be, without the port; null, the default, for anything, as over a unix socket, which no web page can reach. */
  readonly hosts?: ReadonlySet<string> | null;
  readonly readiness: () => Readiness;
  /** The key of list positions. The same one over a restart keeps them good. */
  readonly cursorSecret: Uint8Array | string;
  /** The version of the service, for the OpenAPI document. */
  readonly version: string;
  /** The parent of the requests' loggers; `false`: nothing is logged. */
  readonly logger: FastifyBaseLogger | false;
  readonly tls?: ListenerTls;
  /** Shared by all servers of the process; without it there is no limit. */
  readonly connectionLimit?: ConnectionLimit;
  readonly overloadLimits?: OverloadLimits;
}

/** Bytes of a request body, unless a route takes more. */
const bodyLimit = 65_536;

/** What is asked for is taken as it is or refused, with all that is wrong with it. */
const validation = { removeAdditional: false, coerceTypes: false, useDefaults: false, allErrors: true, verbose: true };
/** That the schemas are such is seen by the tests; to compile the schema of schemas would be a quarter of what the first answer takes of the processor. */
const uncheckedSchemas = { validateSchema: false, meta: false };

/** Makes the HTTP server of one listener; `listen` and `close` are the caller's. Several share the same services. */
export function createServer(options: ServerOptions): FastifyInstance {
  const { transport, policies, bans, confirmations, look, enforcer, inspector, enforcement } = options;
  const { readiness, version, logger, tls } = options;
  const door = { transport, hosts: options.hosts ?? null };
  const { access, attempts, audit } = options;
  const gate = createGate({ door, access, attempts, audit });
  const cursors = createCursors(options.cursorSecret);
  const app = Fastify({
    serverFactory: (handler) => createHttpServer(handler, tls),
    forceCloseConnections: "idle",
    return503OnClosing: false,
    bodyLimit,
    ...(logger === false ? { logger } : { loggerInstance: logger }),
    genReqId: () => randomUUID(),
    routerOptions: { caseSensitive: true, ignoreTrailingSlash: false, ignoreDuplicateSlashes: false, maxParamLength: 1024 },
    // The schemas of answers describe; what a handler answers is sent as it is, and nothing of it is dropped.
    schemaController: {
      compilersFactory: { buildValidator: buildLazyValidators, buildSerializer: () => () => JSON.stringify },
    },
    ajv: { customOptions: { ...validation, ...uncheckedSchemas } },
    frameworkErrors: frameworkErrorHandler((request) => {
      gate.letIn(request, { route: undefined, isPublic: false });
    }),
    clientErrorHandler: answerClientError,
  });
  options.connectionLimit?.watch(app.server);

  const routes = noteRoutes(app);
  const otherMethods = createOtherMethods(routes);
  declareScopes(app);
  closeConnectionsWhenStopping(app);
  setCommonHeaders(app);
  guardAccess(app, { gate, transport, placeOf: otherMethods.placeOf });
  otherMethods.refuseUnused(app);
  handleErrors(app);
  refuseOverload(app, options.overloadLimits ?? defaultOverloadLimits);
  refuseAmbiguity(app);
  acceptJson(app);
  convertQueryValues(app);

  describeRoutes(app, routes, version);
  app.register(policyRoutes, { policies, enforcer, cursors });
  app.register(offenderRoute, { policies, cursors });
  app.register(confirmationRoutes, { confirmations, cursors });
  app.register(batchRoute, { bans });
  app.register(banRoutes, { bans, cursors });
  app.register(checkRoutes, { look });
  app.register(connectionRoutes, { look, cursors });
  app.register(statusRoutes, { look, inspector, enforcement, version });
  app.register(recentRoutes, { inspector, cursors });
  app.register(tokenRoutes, { tokens: options.tokens, cursors });
  app.register(auditRoutes, { audit, cursors });
  app.register(healthRoutes, { readiness });
  app.register(problemRoutes);
  app.register(openapiRoutes);
  app.register(otherMethods.refuseOthers);
  return app;
}
