import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { createAdminAccess } from "../../src/api/access/access.ts";
import { adminToken, assertProblem, startApi } from "./service.ts";

const nobody = { authorization: "" };
const closedRoutes = [
  ["GET", "/v1/policies"],
  ["POST", "/v1/policies"],
  ["GET", "/v1/policies/mysql"],
  ["PUT", "/v1/policies/mysql"],
  ["PATCH", "/v1/policies/mysql"],
  ["DELETE", "/v1/policies/mysql"],
  ["GET", "/v1/policies/mysql/offenders"],
  ["GET", "/v1/confirmations"],
  ["POST", "/v1/confirmations/none"],
  ["DELETE", "/v1/confirmations/none"],
  ["GET", "/v1/bans"],
  ["POST", "/v1/bans"],
  ["GET", "/v1/bans/203.0.113.9"],
  ["PUT", "/v1/bans/203.0.113.9"],
  ["DELETE", "/v1/bans/203.0.113.9"],
  ["POST", "/v1/bans/batch"],
  ["GET", "/v1/check/203.0.113.9"],
  ["GET", "/v1/connections"],
  ["GET", "/v1/status"],
  ["GET", "/v1/recent"],
  ["GET", "/v1/recent/DEFAULT"],
  ["GET", "/problems/lockout"],
] as const;

test("the token of the admin is known, and nothing like it", () => {
  const access = createAdminAccess(adminToken);
  assert.deepEqual(access.verifyToken(adminToken), { actor: "admin", scopes: ["admin"] });
  for (const token of ["", adminToken.toUpperCase(), `${adminToken}x`, adminToken.slice(1)])
    assert.equal(access.verifyToken(token), undefined);
});

test("without a token, every route but the public ones is 401, whatever else is wrong", async (t) => {
  const api = await startApi(t);
  for (const [method, url] of [
    ...closedRoutes,
    ["GET", "/nowhere"],
    ["GET", "/v1"],
    ["DELETE", "/v1/policies"],
    ["OPTIONS", "/v1/bans"],
    ["GET", "/v1/policies/%zz"],
    ["GET", `/v1/policies/${"a".repeat(2000)}`],
    ["GET", "/v1/policies?limit=0"],
    ["GET", "/livez/"],
    ["GET", "/docsx"],
  ] as const) {
    const answer = await api.send(method, url, method === "POST" || method === "PUT" ? "{" : undefined, nobody);
    assertProblem(answer, 401, "unauthorized");
    assert.equal(answer.headers["www-authenticate"], "Bearer", url);
  }
});

test("an oversized body of nobody is not read", async (t) => {
  const api = await startApi(t);
  assertProblem(await api.send("POST", "/v1/policies", "x".repeat(1_048_576), nobody), 401, "unauthorized");
});

test("a wrong token is 401 with invalid_token, another scheme is as good as none", async (t) => {
  const api = await startApi(t);
  for (const [authorization, challenge] of [
    ["Bearer wrong", 'Bearer error="invalid_token"'],
    [`bearer ${adminToken}x`, 'Bearer error="invalid_token"'],
    ["Bearer", "Bearer"],
    ["Bearer a b", "Bearer"],
    [`Basic ${Buffer.from(`admin:${adminToken}`).toString("base64")}`, "Bearer"],
    [adminToken, "Bearer"],
  ] as const) {
    const answer = await api.send("GET", "/v1/policies", undefined, { authorization });
    assertProblem(answer, 401, "unauthorized");
    assert.equal(answer.headers["www-authenticate"], challenge, authorization);
  }
  assert.equal((await api.send("GET", "/v1/policies", undefined, { authorization: `bearer  ${adminToken}` })).status, 200);
});

test("the public routes need no token", async (t) => {
  const api = await startApi(t);
  for (const url of ["/livez", "/readyz", "/openapi.json", "/docs", "/docs/", "/docs/json", "/docs/static/swagger-ui.css"]) {
    assert.equal((await api.send("GET", url, undefined, nobody)).status, 200, url);
  }
});

test("over a unix socket no route needs a token", async (t) => {
  const api = await startApi(t, { transport: "unix" });
  assert.equal((await api.send("GET", "/v1/policies", undefined, nobody)).status, 200);
  assert.equal((await api.send("GET", "/v1/policies", undefined, { authorization: "Bearer wrong" })).status, 200);
  assertProblem(await api.send("GET", "/nowhere", undefined, nobody), 404, "not-found");
});

test("any Origin is refused, with and without a token, over a unix socket too", async (t) => {
  for (const transport of ["tcp", "unix"] as const) {
    const api = await startApi(t, { transport });
    for (const [method, url] of [
      ...closedRoutes,
      ["GET", "/livez"],
      ["GET", "/nowhere"],
      ["GET", "/v1/policies/%zz"],
      ["POST", "/docs"],
    ] as const) {
      const answer = await api.send(method, url, undefined, { origin: "http://localhost", host: "localhost" });
      assertProblem(answer, 403, "forbidden");
    }
    assertProblem(await api.send("GET", "/livez", undefined, { origin: "null" }), 403, "forbidden");
  }
});

test("the page at /docs may read its own parts, and another page may not", async (t) => {
  const api = await startApi(t);
  for (const url of ["/docs", "/docs/json", "/docs/static/swagger-ui-bundle.js", "/openapi.json"]) {
    const own = await api.send("GET", url, undefined, { ...nobody, origin: "http://127.0.0.1:7306", host: "127.0.0.1:7306" });
    assert.equal(own.status, 200);
    for (const origin of ["http://evil.example", "null", "http://127.0.0.1:7307"]) {
      assertProblem(await api.send("GET", url, undefined, { ...nobody, origin, host: "127.0.0.1:7306" }), 403, "forbidden");
    }
  }
});

test("the log has the request's id and not the token", async (t) => {
  const lines: string[] = [];
  const api = await startApi(t, { logger: pino({ level: "trace" }, { write: (line: string) => lines.push(line) }) });
  const answer = await api.send("GET", "/v1/policies/mysql");
  await api.send("POST", "/v1/policies", "{");
  const log = lines.join("");
  assert.match(log, /"url":"\/v1\/policies\/mysql"/);
  const id = /urn:uuid:([0-9a-f-]{36})/.exec(JSON.stringify(answer.body))?.[1] ?? "none";
  assert.ok(log.includes(`"reqId":"${id}"`));
  assert.ok(!log.includes(adminToken));
  assert.ok(!/authorization/i.test(log));
});
