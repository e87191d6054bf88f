import assert from "node:assert/strict";
import { test } from "node:test";
import Fastify from "fastify";
import { declareScopes } from "../../src/api/access/scopes.ts";
import { isRecord } from "../../src/api/requests/schema-words.ts";
import { allows, type Scope, scopes } from "../../src/domain/scope.ts";
import { sampleToken } from "../support/samples.ts";
import { type Api, adminToken, startApi } from "./service.ts";

interface Operation {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: string;
  /** `undefined`: the operation is public. */
  readonly scope: Scope | undefined;
}

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

/** All that the OpenAPI document has, with something in the place of each parameter. */
function operationsOf(api: Api): readonly Operation[] {
  return Object.entries(api.app.swagger().paths ?? {}).flatMap(([path, operations]) =>
    methods.flatMap((method) => {
      const operation: unknown = Reflect.get(operations ?? {}, method.toLowerCase());
      return isRecord(operation) ? [{ method, url: path.replace(/\{[a-z]+\}/g, "x"), scope: scopeOf(operation) }] : [];
    }),
  );
}

function scopeOf(operation: Readonly<Record<string, unknown>>): Scope | undefined {
  const { security } = operation;
  assert.ok(Array.isArray(security), `${String(operation["operationId"])} says what it needs`);
  if (security.length === 0) return undefined;
  const [{ bearer }] = security;
  const scope = scopes.find((known) => known === bearer[0]);
  assert.ok(scope !== undefined && bearer.length === 1);
  assert.match(String(operation["description"]), new RegExp(`Needs the scope \`${scope}\`\\.$`));
  return scope;
}

/** The secret and the name of the token that has this scope. */
function secretOf(scope: Scope): string {
  return scope.replace(":", "-");
}

/** A server with tokens of each kind, asked from another address each time. */
async function startWithTokens(t: Parameters<typeof startApi>[0]) {
  const api = await startApi(t);
  await api.store.transact((change) => {
    change.putToken(sampleToken("expired", { name: "expired", scopes: ["admin"], expiresAt: api.clock.now() }));
    change.putToken(sampleToken("revoked", { name: "revoked", scopes: ["admin"] }));
    for (const scope of scopes) change.putToken(sampleToken(secretOf(scope), { name: secretOf(scope), scopes: [scope] }));
  });
  await api.store.transact((change) => change.deleteToken("revoked"));
  let callers = 0;
  const ask = async (
    { method, url }: Pick<Operation, "url"> & { readonly method: Operation["method"] | "HEAD" },
    token?: string,
  ) => {
    callers += 1;
    const remoteAddress = `198.51.${callers >> 8}.${callers & 255}`;
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    // A body that can't be read: who may not is told so before anybody looks at it.
    const body = ["POST", "PUT", "PATCH"].includes(method) ? { payload: "{", type: "application/json" } : undefined;
    const { statusCode, headers } = await api.app.inject({
      method,
      url,
      remoteAddress,
      headers: { ...authorization, ...(body && { "content-type": body.type }) },
      ...(body && { payload: body.payload }),
    });
    return { status: statusCode, challenge: headers["www-authenticate"] };
  };
  return { api, ask, operations: operationsOf(api) };
}

test("every operation refuses callers with no, a bad, an expired and a revoked token with 401", async (t) => {
  const { ask, operations } = await startWithTokens(t);
  const guarded = operations.filter(({ scope }) => scope !== undefined);
  assert.ok(guarded.length >= 25);
  for (const operation of guarded) {
    const where = `${operation.method} ${operation.url}`;
    assert.deepEqual(await ask(operation), { status: 401, challenge: "Bearer" }, where);
    for (const token of ["bad", "expired", "revoked", `${adminToken}x`])
      assert.deepEqual(await ask(operation, token), { status: 401, challenge: 'Bearer error="invalid_token"' }, where);
    if (operation.method === "GET")
      assert.equal((await ask({ ...operation, method: "HEAD" })).status, 401, `HEAD ${operation.url}`);
  }
});

test("every operation refuses tokens of every other scope with 403, and takes those of its own and admin", async (t) => {
  const { ask, operations } = await startWithTokens(t);
  const seen = new Set<Scope>();
  for (const { scope, ...operation } of operations) {
    if (scope === undefined) continue;
    seen.add(scope);
    for (const held of scopes) {
      const { status, challenge } = await ask({ ...operation }, secretOf(held));
      const where = `${operation.method} ${operation.url} with ${held}: ${status}`;
      if (allows([held], scope)) assert.ok(status !== 401 && status !== 403, where);
      else
        assert.deepEqual(
          { status, challenge },
          { status: 403, challenge: `Bearer error="insufficient_scope", scope="${scope}"` },
          where,
        );
    }
  }
  assert.deepEqual(seen, new Set(scopes));
});

test("the scopes are these", async (t) => {
  const { operations } = await startWithTokens(t);
  for (const { method, url, scope } of operations) {
    const isOpen = ["/livez", "/readyz", "/openapi.json"].includes(url);
    const [, resource = ""] = /^\/v1\/([a-z]+)/.exec(url) ?? [];
    const isAdmins = ["tokens", "audit"].includes(resource);
    const write = resource === "bans" ? "bans:write" : "policies:write";
    const others = method === "GET" ? "read" : write;
    const guarded = isAdmins ? "admin" : others;
    assert.equal(scope, isOpen ? undefined : guarded, `${method} ${url}`);
  }
});

test("an unknown path and a wrong method are 401 without a token, and 404 and 405 with any", async (t) => {
  const { ask } = await startWithTokens(t);
  for (const [method, url, status] of [
    ["GET", "/nowhere", 404],
    ["POST", "/v1/nowhere", 404],
    ["DELETE", "/v1/tokens", 405],
    ["PATCH", "/v1/bans/x", 405],
  ] as const) {
    assert.equal((await ask({ method, url })).status, 401);
    assert.equal((await ask({ method, url }, "expired")).status, 401);
    assert.equal((await ask({ method, url }, "read")).status, status);
  }
});

test("a route that declares no scope keeps the server from getting ready", async () => {
  const app = Fastify();
  declareScopes(app);
  app.get("/open", { config: { isPublic: true } }, async () => "");
  app.register((scope, _options, done) => {
    scope.get("/guarded", { config: { scope: "read" } }, async () => "");
    scope.put("/forgotten/:name", async () => "");
    done();
  });
  await assert.rejects(async () => app.ready(), /routes without a scope: PUT \/forgotten\/:name/);
});
