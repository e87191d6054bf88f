import assert from "node:assert/strict";
import { test } from "node:test";
import { isRecord } from "../../src/api/requests/schema-words.ts";
import { type Api, assertProblem, ciToken, listed, nextCursor, startApi } from "./service.ts";

const policy = { ports: [3306], maxConnections: 2 };
const asCi = { authorization: `Bearer ${ciToken}` };

async function startWithHistory(t: Parameters<typeof startApi>[0]): Promise<Api> {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/mysql", policy);
  api.clock.advance(1_000);
  await api.send("PUT", "/v1/bans/203.0.113.9", { reason: "scanner" }, asCi);
  api.clock.advance(1_000);
  await api.send("PUT", "/v1/bans/198.51.100.0%2F24", {}, asCi);
  api.clock.advance(1_000);
  await api.send("DELETE", "/v1/policies/mysql", undefined, asCi);
  return api;
}

test("the audit has who did what, newest first, under the request's id that the answer had", async (t) => {
  const api = await startApi(t);
  api.setPeer("192.0.2.44");
  const answer = await api.send("PUT", "/v1/bans/203.0.113.9", { reason: "scanner" }, asCi);
  assert.equal(answer.status, 201);
  const { body } = await api.send("GET", "/v1/audit");
  assert.deepEqual(body, {
    items: [
      {
        id: 1,
        at: "2026-11-22T08:00:00.000Z",
        actor: "ci",
        address: "192.0.2.44",
        action: "ban.put",
        resource: "bans/203.0.113.9",
        outcome: "changed",
        problem: null,
        detail: null,
        requestId: answer.headers["x-request-id"],
        revision: { before: 0, after: 1 },
        before: null,
        after: {
          expiresAt: null,
          causes: [{ by: "operator", actor: "ci", reason: "scanner", since: "2026-11-22T08:00:00.000Z", expiresAt: null }],
        },
      },
    ],
    nextCursor: null,
  });
});

test("over a unix socket the actor is socket, from no address", async (t) => {
  const api = await startApi(t, { transport: "unix" });
  await api.send("PUT", "/v1/policies/mysql", policy);
  assert.partialDeepStrictEqual((await api.send("GET", "/v1/audit")).body, { items: [{ actor: "socket", address: null }] });
});

for (const [query, expected] of [
  ["", ["policies/mysql", "bans/198.51.100.0/24", "bans/203.0.113.9", "policies/mysql"]],
  ["actor=admin", ["policies/mysql"]],
  ["action=ban.put", ["bans/198.51.100.0/24", "bans/203.0.113.9"]],
  ["resource=policies/mysql&action=policy.delete", ["policies/mysql"]],
  ["resource=bans%2F198.51.100.0%2F24", ["bans/198.51.100.0/24"]],
  ["outcome=refused", []],
  ["since=2026-11-22T08:00:01Z&until=2026-11-22T08:00:03Z", ["bans/198.51.100.0/24", "bans/203.0.113.9"]],
  ["since=2026-11-22T09:00:03%2B01:00", ["policies/mysql"]],
] as const) {
  test(`the audit with "${query}" has ${expected.length} entries, in one page as in many`, async (t) => {
    const api = await startWithHistory(t);
    assert.deepEqual(listed(await api.send("GET", `/v1/audit?${query}`), "resource"), expected);
    const walked: unknown[] = [];
    for (let cursor = ""; ; ) {
      const page = await api.send("GET", `/v1/audit?limit=1&${query}${cursor}`);
      walked.push(...listed(page, "resource"));
      if (!isRecord(page.body) || page.body["nextCursor"] === null) break;
      cursor = `&cursor=${nextCursor(page)}`;
    }
    assert.deepEqual(walked, expected);
  });
}

test("a page goes on where the last one ended, whatever is written meanwhile", async (t) => {
  const api = await startWithHistory(t);
  const first = await api.send("GET", "/v1/audit?limit=2");
  await api.send("PUT", "/v1/policies/mysql", policy);
  const second = await api.send("GET", `/v1/audit?limit=2&cursor=${nextCursor(first)}`);
  assert.deepEqual(listed(second, "id"), [2, 1]);
  assertProblem(await api.send("GET", `/v1/audit?actor=ci&cursor=${nextCursor(first)}`), 400, "invalid-input", ["cursor"]);
});

for (const [query, pointer] of [
  ["action=policy.read", "action"],
  ["outcome=success", "outcome"],
  ["since=yesterday", "since"],
  ["until=2026-12-31T23:59:60Z", "until"],
  ["limit=0", "limit"],
  ["cursor=x", "cursor"],
  ["who=ci", "who"],
  [`resource=${"x".repeat(201)}`, "resource"],
] as const) {
  test(`the audit with ${query.slice(0, 40)} is refused`, async (t) => {
    const api = await startApi(t);
    assertProblem(await api.send("GET", `/v1/audit?${query}`), 400, "invalid-input", [pointer]);
  });
}

test("refusals stand in the audit: a wrong token, a scope that is missing, and the guard's", async (t) => {
  const api = await startApi(t);
  api.setPeer("192.0.2.44");
  const wrong = await api.send("PUT", "/v1/policies/mysql", policy, { authorization: "Bearer wrong-secret-text" });
  await api.send("PUT", "/v1/policies/mysql", policy, { authorization: "" });
  const scope = await api.send("DELETE", "/v1/tokens/other?dryRun=true", undefined, asCi);
  const guard = await api.send("PUT", "/v1/bans/192.0.2.44", {});
  assert.deepEqual([wrong.status, scope.status, guard.status], [401, 403, 409]);
  const { body } = await api.send("GET", "/v1/audit?outcome=refused");
  assert.partialDeepStrictEqual(body, {
    items: [
      {
        action: "ban.put",
        actor: "admin",
        resource: "bans/192.0.2.44",
        problem: "lockout",
        requestId: guard.headers["x-request-id"],
      },
      { action: "authorize", actor: "ci", resource: "tokens/other", problem: "insufficient-scope" },
      { action: "authenticate", actor: null, address: "192.0.2.44", resource: null, problem: "unauthorized" },
    ],
  });
  assert.ok(isRecord(body) && Array.isArray(body["items"]) && body["items"].length === 3);
  assert.doesNotMatch(JSON.stringify(body), /wrong-secret-text/);
});

test("failed authentications beyond ten are answered and not noted", async (t) => {
  const api = await startApi(t);
  for (let count = 0; count < 30; count += 1) await api.send("GET", "/v1/bans", undefined, { authorization: "Bearer wrong" });
  assert.equal(listed(await api.send("GET", "/v1/audit"), "id").length, 10);
});

test("neither the audit nor its entries have a secret", async (t) => {
  const api = await startApi(t);
  const made = await api.send("POST", "/v1/tokens", { name: "x", scopes: ["admin"] });
  assert.ok(isRecord(made.body));
  const secret = String(made.body["token"]);
  await api.send("DELETE", "/v1/tokens/x", undefined, { authorization: `Bearer ${secret}` });
  const { body } = await api.send("GET", "/v1/audit");
  assert.deepEqual(listed({ status: 200, headers: {}, body }, "action"), ["token.delete", "token.create"]);
  assert.partialDeepStrictEqual(body, { items: [{ actor: "x" }, { actor: "admin" }] });
  assert.ok(!JSON.stringify(body).includes(secret));
});
