import assert from "node:assert/strict";
import { test } from "node:test";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { type Api, assertProblem, startApi } from "./service.ts";

const policy = { ports: [3306], maxConnections: 2 };
const fullPolicy = { ...policy, ban: { seconds: 60 }, exempt: ["10.0.0.0/8"], description: "for people" };

/** A policy web and a ban of 203.0.113.200, and two connections that a ban can end. */
async function startUsedApi(t: Parameters<typeof startApi>[0]): Promise<Api> {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/web", policy);
  await api.send("PUT", "/v1/bans/203.0.113.200", { reason: "scanner" });
  api.connections.open("203.0.113.9", 3306, 2);
  return api;
}

const writes = [
  ["POST", "/v1/policies", { name: "mysql", ...fullPolicy }, true],
  ["POST", "/v1/policies", { name: "mysql", ...policy, mode: "off" }, true],
  ["PUT", "/v1/policies/mysql", fullPolicy, true],
  ["PUT", "/v1/policies/web", fullPolicy, true],
  ["PUT", "/v1/policies/web", policy, false],
  ["PATCH", "/v1/policies/web", { maxConnections: 3 }, true],
  ["PATCH", "/v1/policies/web", {}, false],
  ["DELETE", "/v1/policies/web", undefined, true],
  ["POST", "/v1/bans", { address: "203.0.113.9", ttlSeconds: 60 }, true],
  ["PUT", "/v1/bans/203.0.113.9", { reason: "scanner" }, true],
  ["PUT", "/v1/bans/203.0.113.9", { sever: false }, true],
  ["PUT", "/v1/bans/203.0.113.200", { reason: "worse" }, true],
  ["PUT", "/v1/bans/203.0.113.200", { reason: "scanner" }, false],
  ["DELETE", "/v1/bans/203.0.113.200", undefined, true],
  ["DELETE", "/v1/bans/203.0.113.200?graceSeconds=60", undefined, true],
  ["POST", "/v1/bans/batch", { put: [{ address: "203.0.113.9" }], delete: ["203.0.113.200"] }, true],
  ["POST", "/v1/bans/batch", { delete: ["203.0.113.9"] }, false],
] as const;

for (const [method, url, body, changed] of writes) {
  test(`the dry run of ${method} ${url} ${JSON.stringify(body) ?? ""} answers what the write then does, and does nothing`, async (t) => {
    const api = await startUsedApi(t);
    const [revision, passes] = [api.store.revision(), api.enforcer.requests.length];
    const before = [await api.send("GET", "/v1/policies"), await api.send("GET", "/v1/bans")].map((answer) => answer.body);
    const etags = await etagsOf(api);

    const dry = await api.send(method, `${url}${url.includes("?") ? "&" : "?"}dryRun=true`, body);
    assert.equal(dry.status, 200);
    assert.equal(dry.headers["connlimitd-changed"], "false");
    assert.equal(dry.headers["etag"], undefined);
    assert.equal(dry.headers["location"], undefined);
    assert.partialDeepStrictEqual(dry.body, { dryRun: true, changed, warnings: [] });
    assert.equal(api.store.revision(), revision);
    assert.equal(api.enforcer.requests.length, passes);
    assert.deepEqual(api.connections.severed.flat(), ["203.0.113.200"], "only the ban that was there before ended any");
    assert.deepEqual(
      [await api.send("GET", "/v1/policies"), await api.send("GET", "/v1/bans")].map((answer) => answer.body),
      before,
    );
    assert.deepEqual(await etagsOf(api), etags);

    const real = await api.send(method, url, body);
    assert.equal(real.headers["connlimitd-changed"], String(changed));
    assert.deepEqual(resultOf(dry.body), real.body === "" ? null : real.body);
    assert.equal(api.store.confirmations().length, 0);
  });
}

async function etagsOf(api: Api): Promise<readonly unknown[]> {
  const answers = [await api.send("GET", "/v1/policies/web"), await api.send("GET", "/v1/bans/203.0.113.200")];
  return answers.map(({ headers }) => headers["etag"]);
}

function resultOf(body: unknown): unknown {
  assert.ok(typeof body === "object" && body !== null && "result" in body);
  return body.result;
}

test("the dry run of a policy has the plan, and whom it would concern", async (t) => {
  const api = await startApi(t);
  api.connections.open("203.0.113.9", 3306, 5);
  api.connections.open("203.0.113.10", 3306, 2);
  api.connections.open("10.9.9.9", 3306, 7);
  api.connections.open("10.1.0.1", 3306, 9);
  api.connections.open("2001:db8:1:2::3", 3306, 4);
  const { body } = await api.send("POST", "/v1/policies?dryRun=true", { name: "mysql", ...fullPolicy });
  assert.partialDeepStrictEqual(body, {
    plan: { ipv4: ["-A CLD-mysql 1"], ipv6: ["-A CLD-mysql 1"], recent: [], ipset: [] },
    result: { name: "mysql", revision: 1 },
  });
  assert.ok(typeof body === "object" && body !== null && "impact" in body);
  assert.deepEqual(body.impact, {
    sources: [
      { source: "10.1.0.1", connections: 9, limit: 2, outcome: "protected" },
      { source: "10.9.9.9", connections: 7, limit: 2, outcome: "exempt" },
      { source: "203.0.113.9", connections: 5, limit: 2, outcome: "banned" },
      { source: "2001:db8:1:2::/64", connections: 4, limit: 2, outcome: "banned" },
    ],
  });
});

test("the dry run of a ban has the connections that it would end, and what it would write", async (t) => {
  const api = await startUsedApi(t);
  const { body } = await api.send("PUT", "/v1/bans/203.0.113.0%2F24?dryRun=true", {});
  assert.partialDeepStrictEqual(body, {
    result: { address: "203.0.113.0/24", enforced: true, severed: 2 },
    plan: { ipset: ["add cld4-operator 203.0.113.200", "add cld4-operator 203.0.113.0/24"] },
    impact: { sources: [{ source: "203.0.113.9", connections: 2, limit: 0, outcome: "banned" }] },
  });
});

test("dryRun=false is the write itself", async (t) => {
  const api = await startApi(t);
  assert.equal((await api.send("PUT", "/v1/policies/mysql?dryRun=false", policy)).status, 201);
  assert.equal((await api.send("PUT", "/v1/bans/203.0.113.9?dryRun=false", {})).status, 201);
  assert.equal((await api.send("POST", "/v1/bans/batch?dryRun=false", { delete: ["203.0.113.9"] })).status, 200);
  assert.equal((await api.send("DELETE", "/v1/policies/mysql?dryRun=false")).status, 204);
  assert.equal(api.store.policies().length + api.store.operatorBans().length, 0);
});

test("while the kernel is behind, a dry run foresees that the write would be pending, and warns", async (t) => {
  const api = await startApi(t);
  api.enforcer.delay("the xtables lock is held");
  const dry = await api.send("POST", "/v1/policies?dryRun=true", { name: "mysql", ...policy });
  assert.equal(dry.status, 200);
  assert.match(JSON.stringify(dry.body), /"warnings":\["The kernel is not in step now \(the xtables lock is held\)/);
  const real = await api.send("POST", "/v1/policies", { name: "mysql", ...policy });
  assert.equal(real.status, 202);
  assert.deepEqual(resultOf(dry.body), real.body);
});

test("while the kernel can't be read, a dry run is 503", async (t) => {
  const api = await startUsedApi(t);
  api.firewall.failReads(new EnforcementDelayed("the xtables lock is held"));
  for (const [method, url, body] of writes) {
    const answer = await api.send(method, `${url}${url.includes("?") ? "&" : "?"}dryRun=true`, body);
    assertProblem(answer, 503, "not-ready");
    assert.equal(answer.headers["connlimitd-changed"], "false");
  }
});
