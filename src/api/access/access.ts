import { hash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { AuditService } from "../../domain/audit-service.ts";
import type { Caller } from "../../domain/caller.ts";
import { formatNetwork, parseAddress } from "../../domain/network.ts";
import { allows, type Scope } from "../../domain/scope.ts";
import type { TokenService } from "../../domain/token-service.ts";
import { ApiProblem } from "../problems/problem.ts";
import type { OtherMethods, Place } from "../requests/method-not-allowed.ts";
import type { FailedAttempts } from "./failed-attempts.ts";
import { assertScope } from "./scopes.ts";

/** Which kind of listener a server stands behind: who can open a unix socket needs no token. */
export type Transport = "tcp" | "unix";

/** Where a request comes in. */
export interface Door {
  readonly transport: Transport;
  /** What the `Host` of a request may be, without the port, so that no name of somebody else's leads a browser here; null: anything. */
  readonly hosts: ReadonlySet<string> | null;
}

/** Who somebody is, wherever they call from, and what they may do. */
export interface Identity extends Pick<Caller, "actor"> {
  readonly scopes: readonly Scope[];
}

/** Who may. */
export interface Access {
  /** Whose token this is; `expired` for one whose time is over, `undefined` for any other text. Its time tells nothing about any token. */
  verifyToken(token: string): Identity | "expired" | undefined;
}

/** Characters of a resource that was asked for without its scope. */
const maxResource = 200;

const nobody: Identity = { actor: "", scopes: [] };
const whoeverOpensTheSocket: Identity = { actor: "socket", scopes: ["admin"] };
const admin: Identity = { actor: "admin", scopes: ["admin"] };

/** What is judged of a request, before anything else of it is looked at. */
export interface Visit {
  readonly method: string;
  /** The route, as it was registered; `undefined` where there is none. */
  readonly route: string | undefined;
  readonly isPublic: boolean;
  readonly headers: FastifyRequest["headers"];
}

/** Access for the one token that is made at the first start: its actor is `admin`. */
export function createAdminAccess(adminToken: string): Access {
  const expected = digest(adminToken);
  return { verifyToken: (token) => (timingSafeEqual(digest(token), expected) ? admin : undefined) };
}

/** The same, and for the tokens that were made over the API: their names are the actors. */
export function createAccess(adminToken: string, tokens: Pick<TokenService, "identify">): Access {
  const adminAccess = createAdminAccess(adminToken);
  return {
    verifyToken(text) {
      const known = adminAccess.verifyToken(text);
      if (known !== undefined) return known;
      const token = tokens.identify(text);
      if (token === undefined || token === "expired") return token;
      return { actor: token.name, scopes: token.scopes };
    },
  };
}

/**
 * Lets a request in and tells who makes it (nobody on public routes).
 * @throws {ApiProblem} `forbidden`, `unauthorized`
 */
export function admit(visit: Visit, { transport, hosts }: Door, access: Access): Identity {
  if (hosts !== null && visit.headers.host !== undefined && !hosts.has(hostName(visit.headers.host))) {
    throw new ApiProblem("forbidden", "The Host is not one of this service; CONNLIMITD_ALLOWED_HOSTS can add it.");
  }
  if (visit.headers.origin !== undefined && !isOwnPage(visit)) {
    throw new ApiProblem("forbidden", "Requests with an Origin header are refused: the service is not for web pages.");
  }
  if (transport === "unix") return whoeverOpensTheSocket;
  if (visit.isPublic) return nobody;
  const token = bearerToken(visit.headers.authorization);
  if (token === undefined) throw unauthorized("A bearer token is needed: Authorization: Bearer <token>.", "Bearer");
  const identity = access.verifyToken(token);
  if (identity === undefined) throw unauthorized("The token is not known.", 'Bearer error="invalid_token"');
  if (identity === "expired") throw unauthorized("The token has expired; a new one is needed.", 'Bearer error="invalid_token"');
  return identity;
}

/** Lets requests in, and notes who it did not let in for their token. */
export interface Gate {
  /** As `admit`; where an authentication fails too often, with another problem. @throws {ApiProblem} `too-many-failures` too */
  letIn(request: FastifyRequest, route: Pick<Visit, "route" | "isPublic">): Identity;
  /** @throws {ApiProblem} `insufficient-scope` */
  assertMay(identity: Identity, request: FastifyRequest, place: Place): void;
}

export interface GateOptions {
  readonly door: Door;
  readonly access: Access;
  readonly attempts: FailedAttempts;
  readonly audit: Pick<AuditService, "refused">;
}

export function createGate({ door, access, attempts, audit }: GateOptions): Gate {
  function note(action: "authenticate" | "authorize", actor: string | null, request: FastifyRequest, why: ApiProblem): void {
    const address = door.transport === "unix" ? null : peerAddress(request);
    const resource = action === "authenticate" ? null : resourceOf(request);
    audit.refused({ action, actor, address, requestId: request.id, resource, problem: why.slug, detail: why.message });
  }

  return {
    letIn(request, route) {
      const { method, headers } = request;
      try {
        return admit({ method, headers, ...route }, door, access);
      } catch (error) {
        // Who shows nothing has tried nothing.
        if (!(error instanceof ApiProblem && error.slug === "unauthorized") || !headers.authorization) throw error;
        const wait = attempts.note(peerAddress(request));
        if (wait === undefined) {
          note("authenticate", null, request, error);
          throw error;
        }
        throw new ApiProblem("too-many-failures", `Too many failed authentications from this address; wait ${wait} seconds.`, {
          headers: { "retry-after": String(wait) },
        });
      }
    },
    assertMay({ actor, scopes }, request, place) {
      try {
        assertScope(scopes, request, place);
      } catch (error) {
        if (error instanceof ApiProblem) note("authorize", actor, request, error);
        throw error;
      }
    },
  };
}

export interface GuardOptions extends Pick<OtherMethods, "placeOf"> {
  readonly gate: Gate;
  readonly transport: Transport;
}

/** Asks the gate about every request, and for the scope of its route, before its body is read and before 404, 405 and validation. */
export function guardAccess(app: FastifyInstance, { gate, transport, placeOf }: GuardOptions): void {
  const identify = (request: FastifyRequest): Identity => {
    const place = placeOf(request);
    const identity = gate.letIn(request, { route: place.url, isPublic: place.config.isPublic === true });
    gate.assertMay(identity, request, place);
    return identity;
  };
  app.decorateRequest("caller");
  app.addHook("onRequest", async (request) => {
    const { actor, scopes } = identify(request);
    const address = transport === "unix" ? null : peerAddress(request);
    request.caller = { actor, address, admin: allows(scopes, "admin"), requestId: request.id };
  });
  app.addHook("preValidation", async (request) => {
    // A body can take its time, and the token may have been revoked, or have expired, meanwhile.
    if (request.body !== undefined) identify(request);
  });
}

/** The name or address of a `Host` field, in lower case, without brackets and port. */
function hostName(host: string): string {
  return host
    .toLowerCase()
    .replace(/:\d*$/, "")
    .replace(/^\[(.*)\]$/, "$1");
}

/** The page at /docs reads its parts from where it came from. */
function isOwnPage({ method, route = "", headers }: Visit): boolean {
  const isPart = route === "/docs" || route.startsWith("/docs/") || route === "/openapi.json";
  const origin = headers.origin ?? "";
  return (method === "GET" || method === "HEAD") && isPart && URL.canParse(origin) && new URL(origin).host === headers.host;
}

/** What the path names below /v1, as the audit has it. */
function resourceOf({ url }: FastifyRequest): string {
  const path = url.replace(/[?#].*/, "").replace(/^\/(v1\/)?/, "");
  return path.replaceAll(/%2F/gi, "/").slice(0, maxResource);
}

/** The canonical address of the other side, without a zone. Nobody waits for the answer where there is none any more. */
function peerAddress({ socket }: FastifyRequest): string {
  const { remoteAddress } = socket;
  if (remoteAddress === undefined) throw new ApiProblem("malformed-request", "The connection is closed.");
  return formatNetwork(parseAddress(remoteAddress.replace(/%.*/, "")));
}

/** The token of the scheme Bearer (RFC 6750, 2.1); `undefined` when there is no such thing. */
function bearerToken(authorization: string | undefined): string | undefined {
  return /^bearer +([\w.~+/-]+=*) *$/i.exec(authorization ?? "")?.[1];
}

function unauthorized(detail: string, challenge: string): ApiProblem {
  return new ApiProblem("unauthorized", detail, { headers: { "www-authenticate": challenge } });
}

function digest(token: string): Buffer {
  return hash("sha256", token, "buffer");
}
