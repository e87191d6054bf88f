import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { test } from "node:test";
import { pino } from "pino";
import { isRecord } from "../../src/api/requests/schema-words.ts";
import { type Api, assertProblem, ciToken, listed, nextCursor, startApi } from "./service.ts";

const asCi = { authorization: `Bearer ${ciToken}` };

/** Makes a token; the header fields of who holds it. */
async function issue(api: Api, body: object): Promise<{ readonly authorization: string }> {
  const answer = await api.send("POST", "/v1/tokens", body);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  assert.ok(isRecord(answer.body));
  return { authorization: `Bearer ${String(answer.body["token"])}` };
}

test("POST answers the secret once, and the list has everything else", async (t) => {
  const api = await startApi(t);
  const answer = await api.send("POST", "/v1/tokens", {
    name: "ci",
    scopes: ["policies:write", "bans:write"],
    expiresAt: "2026-11-22T10:00:00+01:00",
  });
  assert.equal(answer.status, 201);
  assert.equal(answer.headers["location"], "/v1/tokens/ci");
  assert.equal(answer.headers["connlimitd-changed"], "true");
  assert.ok(isRecord(answer.body));
  const { token, ...rest } = answer.body;
  assert.match(String(token), /^[\w-]{43}$/);
  const kept = {
    name: "ci",
    scopes: ["bans:write", "policies:write"],
    createdAt: "2026-11-22T08:00:00.000Z",
    expiresAt: "2026-11-22T09:00:00.000Z",
  };
  assert.deepEqual(rest, kept);
  const list = await api.send("GET", "/v1/tokens");
  assert.deepEqual(list.body, { items: [kept], nextCursor: null });
});

test("the list comes in pages, sorted by name", async (t) => {
  const api = await startApi(t);
  for (const name of ["c", "a", "b"]) await issue(api, { name, scopes: ["read"] });
  const first = await api.send("GET", "/v1/tokens?limit=2");
  assert.deepEqual(listed(first, "name"), ["a", "b"]);
  const second = await api.send("GET", `/v1/tokens?limit=2&cursor=${nextCursor(first)}`);
  assert.deepEqual(listed(second, "name"), ["c"]);
});

test("a name that exists is 409, and the first token stays good", async (t) => {
  const api = await startApi(t);
  const first = await issue(api, { name: "reader", scopes: ["read"] });
  assertProblem(await api.send("POST", "/v1/tokens", { name: "reader", scopes: ["admin"] }), 409, "already-exists");
  assertProblem(await api.send("POST", "/v1/tokens?dryRun=true", { name: "reader", scopes: ["admin"] }), 409, "already-exists");
  assert.equal((await api.send("GET", "/v1/bans", undefined, first)).status, 200);
});

for (const [what, body, pointer] of [
  ["no name", { scopes: ["read"] }, "/name"],
  ["a name in capitals", { name: "CI", scopes: ["read"] }, "/name"],
  ["a name that is an actor already", { name: "admin", scopes: ["read"] }, "/name"],
  ["no scopes", { name: "ci" }, "/scopes"],
  ["an empty list of scopes", { name: "ci", scopes: [] }, "/scopes"],
  ["a scope twice", { name: "ci", scopes: ["read", "read"] }, "/scopes/1"],
  ["a scope that does not exist", { name: "ci", scopes: ["bans:read"] }, "/scopes/0"],
  ["one scope instead of a list", { name: "ci", scopes: "admin" }, "/scopes"],
  ["an end in the past", { name: "ci", scopes: ["read"], expiresAt: "2026-11-22T07:59:59Z" }, "/expiresAt"],
  ["an end without an offset", { name: "ci", scopes: ["read"], expiresAt: "2026-11-23T08:00:00" }, "/expiresAt"],
  ["a leap second as its end", { name: "ci", scopes: ["read"], expiresAt: "2026-12-31T23:59:60Z" }, "/expiresAt"],
  ["a secret of its own", { name: "ci", scopes: ["read"], token: "secret" }, "/token"],
] as const) {
  test(`a token with ${what} is refused, rehearsed or not, and nothing is stored`, async (t) => {
    const api = await startApi(t);
    for (const query of ["", "?dryRun=true"])
      assertProblem(await api.send("POST", `/v1/tokens${query}`, body), 400, "invalid-input", [pointer]);
    assert.equal(api.store.tokens().length, 0);
  });
}

test("a dry run makes and removes nothing, and shows no secret", async (t) => {
  const api = await startApi(t);
  const made = await api.send("POST", "/v1/tokens?dryRun=true", { name: "ci", scopes: ["read"] });
  assert.equal(made.status, 200);
  assert.equal(made.headers["connlimitd-changed"], "false");
  assert.deepEqual(made.body, {
    dryRun: true,
    changed: true,
    result: { name: "ci", scopes: ["read"], createdAt: "2026-11-22T08:00:00.000Z", expiresAt: null },
    plan: { ipv4: [], ipv6: [], recent: [], ipset: [] },
    impact: { sources: [] },
    warnings: [],
  });
  assert.equal(api.store.tokens().length, 0);
  assertProblem(await api.send("DELETE", "/v1/tokens/ci?dryRun=true"), 404, "not-found");
  await issue(api, { name: "ci", scopes: ["read"] });
  const removed = await api.send("DELETE", "/v1/tokens/ci?dryRun=true");
  assert.partialDeepStrictEqual(removed.body, { dryRun: true, changed: true, result: null });
  assert.equal(api.store.tokens().length, 1);
});

test("DELETE revokes at once, on a connection that is open too", async (t) => {
  const api = await startApi(t);
  const held = await issue(api, { name: "held", scopes: ["read"] });
  const address = await api.app.listen({ port: 0, host: "127.0.0.1" });
  const ask = () => fetch(`${address}/v1/bans`, { headers: held });
  const before = await ask();
  assert.equal(before.status, 200);
  await before.arrayBuffer();
  const removed = await api.send("DELETE", "/v1/tokens/held");
  assert.equal(removed.status, 204);
  assert.equal(removed.headers["connlimitd-changed"], "true");
  const after = await ask();
  assert.equal(after.status, 401);
  await after.arrayBuffer();
  assertProblem(await api.send("DELETE", "/v1/tokens/held"), 404, "not-found");
});

test("a token that is revoked while its request arrives does nothing any more", async (t) => {
  const api = await startApi(t);
  const held = await issue(api, { name: "held", scopes: ["bans:write"] });
  async function* body() {
    yield '{"address": ';
    await api.send("DELETE", "/v1/tokens/held");
    yield '"203.0.113.9"}';
  }
  const answer = await api.app.inject({
    method: "POST",
    url: "/v1/bans",
    headers: { ...held, "content-type": "application/json" },
    payload: Readable.from(body()),
  });
  assert.equal(answer.statusCode, 401);
  assert.equal(api.store.operatorBans().length, 0);
});

test("an expired token is 401, and only who holds it is told that it has expired", async (t) => {
  const api = await startApi(t);
  const held = await issue(api, { name: "short", scopes: ["read"], expiresAt: "2026-11-22T08:01:00Z" });
  api.clock.advance(59_999);
  assert.equal((await api.send("GET", "/v1/bans", undefined, held)).status, 200);
  api.clock.advance(1);
  const expired = await api.send("GET", "/v1/bans", undefined, held);
  assertProblem(expired, 401, "unauthorized");
  assert.equal(expired.headers["www-authenticate"], 'Bearer error="invalid_token"');
  assert.match(JSON.stringify(expired.body), /has expired/);
  const unknown = await api.send("GET", "/v1/bans", undefined, { authorization: `${held.authorization}x` });
  assert.doesNotMatch(JSON.stringify(unknown.body), /expired/);
});

test("a token does what its scopes say and nothing else, and the answer names the scope that is missing", async (t) => {
  const api = await startApi(t);
  const policy = { ports: [3306], maxConnections: 2 };
  const banner = await issue(api, { name: "banner", scopes: ["bans:write"] });
  const reader = await issue(api, { name: "reader", scopes: ["read"] });
  assert.equal((await api.send("PUT", "/v1/bans/203.0.113.9", {}, banner)).status, 201);
  assertProblem(await api.send("GET", "/v1/policies", undefined, banner), 403, "insufficient-scope");
  assert.equal((await api.send("GET", "/v1/policies", undefined, reader)).status, 200);
  const refused = await api.send("PUT", "/v1/policies/mysql", policy, banner);
  assertProblem(refused, 403, "insufficient-scope");
  assert.equal(refused.headers["www-authenticate"], 'Bearer error="insufficient_scope", scope="policies:write"');
  assert.equal(refused.headers["connlimitd-changed"], "false");
  assert.match(JSON.stringify(refused.body), /needs the scope policies:write, and the token has bans:write/);
  assertProblem(await api.send("PUT", "/v1/bans/203.0.113.9", {}, reader), 403, "insufficient-scope");
  assertProblem(await api.send("GET", "/v1/tokens", undefined, asCi), 403, "insufficient-scope");
  const [cause] = (await api.bans.get("203.0.113.9")).causes;
  assert.partialDeepStrictEqual(cause, { by: "operator", actor: "banner" });
});

test("allowLockout needs the scope admin, whatever the token may write", async (t) => {
  const api = await startApi(t);
  const writer = await issue(api, { name: "writer", scopes: ["bans:write", "policies:write"] });
  const refused = await api.send("PUT", "/v1/bans/203.0.113.9?allowLockout=true", {}, writer);
  assertProblem(refused, 403, "insufficient-scope");
  assert.equal(refused.headers["www-authenticate"], 'Bearer error="insufficient_scope", scope="admin"');
  const other = await issue(api, { name: "other", scopes: ["admin"] });
  assert.equal((await api.send("PUT", "/v1/bans/203.0.113.9?allowLockout=true", {}, other)).status, 201);
});

test("no log has a secret, neither of the token that is made nor of the one that makes it", async (t) => {
  const lines: string[] = [];
  const api = await startApi(t, { logger: pino({ level: "trace" }, { write: (line: string) => lines.push(line) }) });
  const { authorization } = await issue(api, { name: "ci", scopes: ["read"] });
  await api.send("GET", "/v1/bans", undefined, { authorization });
  const log = lines.join("");
  assert.match(log, /\/v1\/tokens/);
  assert.ok(!log.includes(authorization.slice("Bearer ".length)) && !/authorization/i.test(log));
});
