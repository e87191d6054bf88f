import assert from "node:assert/strict";
import { test } from "node:test";
import { assertProblem, ciToken, startApi } from "./service.ts";

const asCi = { authorization: `Bearer ${ciToken}` };
const onApiPort = { ports: [7306], maxConnections: 1 };

for (const [peer, address] of [
  ["203.0.113.7", "203.0.113.7"],
  ["::ffff:203.0.113.7", "203.0.113.7"],
  ["2001:db8:0::7", "2001:db8::7"],
  ["fe80::7%eth0", "fe80::7"],
] as const) {
  test(`a caller from ${peer} can't ban ${address}, and is told why`, async (t) => {
    const api = await startApi(t);
    api.setPeer(peer);
    const answer = await api.send("PUT", `/v1/bans/${address}`, {});
    assertProblem(answer, 409, "lockout");
    assert.partialDeepStrictEqual(answer.body, {
      detail: `A ban of ${address} would shut out ${address}, from which this request comes. allowLockout=true goes on all the same, for callers with the scope admin.`,
    });
    assert.equal(api.store.revision(), 0);
    assert.equal((await api.send("PUT", `/v1/bans/${address}?allowLockout=true`, {})).status, 201);
  });
}

test("an administrator may override the guard on every write, of a policy too", async (t) => {
  const api = await startApi(t);
  api.setPeer("203.0.113.7");
  for (const [method, url, body, done] of [
    ["POST", "/v1/policies", { name: "api", ...onApiPort }, 201],
    ["PUT", "/v1/policies/other", onApiPort, 201],
    ["PATCH", "/v1/policies/other", { ports: [7306, 80] }, 200],
    ["POST", "/v1/bans", { address: "203.0.113.7" }, 201],
    ["PUT", "/v1/bans/203.0.113.0%2F24", {}, 201],
    ["POST", "/v1/bans/batch", { put: [{ address: "203.0.0.0/16" }] }, 200],
  ] as const) {
    const refused = await api.send(method, url, body);
    assertProblem(refused, 409, "lockout", url === "/v1/bans/batch" ? ["/put/0/address"] : []);
    assert.equal(refused.headers["connlimitd-changed"], "false");
    assert.equal((await api.send(method, `${url}?allowLockout=true`, body)).status, done);
  }
});

test("an override in a dry run is a warning", async (t) => {
  const api = await startApi(t);
  api.setPeer("203.0.113.7");
  const answer = await api.send("PUT", "/v1/bans/203.0.113.7?allowLockout=true&dryRun=true", {});
  assert.equal(answer.status, 200);
  assert.match(JSON.stringify(answer.body), /"warnings":\["allowLockout overrides this: A ban of 203\.0\.113\.7 would shut out/);
});

test("allowLockout without the scope admin is 403 on every write, whether somebody would be shut out or not", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/web", { ports: [80], maxConnections: 9 });
  await api.send("PUT", "/v1/bans/203.0.113.9", {});
  const revision = api.store.revision();
  for (const [method, url, body] of [
    ["POST", "/v1/policies", { name: "mysql", ports: [3306], maxConnections: 2 }],
    ["PUT", "/v1/policies/web", { ports: [80], maxConnections: 8 }],
    ["PATCH", "/v1/policies/web", { maxConnections: 8 }],
    ["DELETE", "/v1/policies/web", undefined],
    ["POST", "/v1/bans", { address: "203.0.113.10" }],
    ["PUT", "/v1/bans/203.0.113.9", {}],
    ["DELETE", "/v1/bans/203.0.113.9", undefined],
    ["POST", "/v1/bans/batch", { delete: ["203.0.113.9"] }],
  ] as const) {
    const answer = await api.send(method, `${url}?allowLockout=true`, body, asCi);
    assertProblem(answer, 403, "insufficient-scope");
    assert.partialDeepStrictEqual(answer.body, { detail: "allowLockout needs the scope admin." });
    assert.equal(answer.headers["connlimitd-changed"], "false");
  }
  assert.equal(api.store.revision(), revision);
  assert.equal((await api.send("PUT", "/v1/bans/203.0.113.9?allowLockout=false", {}, asCi)).status, 200);
});

test("over a unix socket there is no caller to shut out, and whoever calls may override", async (t) => {
  const api = await startApi(t, { transport: "unix" });
  api.setPeer("203.0.113.7");
  assert.equal((await api.send("PUT", "/v1/bans/203.0.113.7", {})).status, 201);
  assertProblem(await api.send("PUT", "/v1/bans/172.16.0.200", {}), 409, "lockout");
  assert.equal((await api.send("PUT", "/v1/bans/172.16.0.200?allowLockout=true", {})).status, 201);
});

test("nobody overrides that a network is protected", async (t) => {
  for (const transport of ["tcp", "unix"] as const) {
    const api = await startApi(t, { transport });
    assertProblem(await api.send("PUT", "/v1/bans/127.0.0.1?allowLockout=true", {}), 409, "lockout");
    const batch = await api.send("POST", "/v1/bans/batch?allowLockout=true", { put: [{ address: "10.0.0.0/8" }] });
    assertProblem(batch, 409, "lockout", ["/put/0/address"]);
  }
});
