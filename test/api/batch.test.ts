import assert from "node:assert/strict";
import { test } from "node:test";
import { listed, startApi } from "./service.ts";

const path = "/v1/bans/batch";

test("a batch bans and lifts many at once, and says how many did what", async (t) => {
  const api = await startApi(t);
  for (const host of [1, 2, 3]) await api.send("PUT", `/v1/bans/203.0.113.${host}`, { reason: "scanner" });
  api.connections.open("203.0.113.7", 443, 3);
  const answer = await api.send("POST", path, {
    put: [
      { address: "203.0.113.1", reason: "scanner" },
      { address: "203.0.113.2", reason: "worse" },
      { address: "203.0.113.7", ttlSeconds: 60 },
      { address: "2001:db8::/48", expiresAt: "2026-11-23T00:00:00Z", sever: false },
    ],
    delete: ["203.0.113.3", "203.0.113.200"],
  });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["connlimitd-changed"], "true");
  assert.deepEqual(answer.body, { created: 2, updated: 1, deleted: 1, unchanged: 2, severed: 3 });
  const bans = await api.send("GET", "/v1/bans");
  assert.deepEqual(listed(bans, "address"), ["203.0.113.1", "203.0.113.2", "203.0.113.7", "2001:db8::/48"]);
  assert.deepEqual(listed(bans, "expiresAt"), [null, null, "2026-11-22T08:01:00.000Z", "2026-11-23T00:00:00.000Z"]);
  assert.ok(!api.connections.severed.flat().includes("2001:db8::/48"));
});

test("the actor of a batch is the caller", async (t) => {
  const api = await startApi(t, { transport: "unix" });
  await api.send("POST", path, { put: [{ address: "203.0.113.9" }] });
  const { body } = await api.send("GET", "/v1/bans/203.0.113.9");
  assert.partialDeepStrictEqual(body, { causes: [{ by: "operator", actor: "socket", reason: "" }] });
});

test("the same batch again changes nothing, and says so", async (t) => {
  const api = await startApi(t);
  const batch = { put: [{ address: "203.0.113.9", sever: false }], delete: ["203.0.113.10"] };
  assert.deepEqual((await api.send("POST", path, batch)).body, {
    created: 1,
    updated: 0,
    deleted: 0,
    unchanged: 1,
    severed: null,
  });
  const again = await api.send("POST", path, batch);
  assert.equal(again.status, 200);
  assert.equal(again.headers["connlimitd-changed"], "false");
  assert.deepEqual(again.body, { created: 0, updated: 0, deleted: 0, unchanged: 2, severed: null });
});

test("either list is enough", async (t) => {
  const api = await startApi(t);
  assert.partialDeepStrictEqual((await api.send("POST", path, { put: [{ address: "203.0.113.9" }] })).body, { created: 1 });
  assert.partialDeepStrictEqual((await api.send("POST", path, { put: [], delete: ["203.0.113.9"] })).body, { deleted: 1 });
});

test("a batch that the kernel has not yet taken is 202", async (t) => {
  const api = await startApi(t);
  api.enforcer.delay("the xtables lock is held");
  const answer = await api.send("POST", path, { put: [{ address: "203.0.113.9" }] });
  assert.equal(answer.status, 202);
  assert.equal(answer.headers["connlimitd-changed"], "true");
  assert.deepEqual(answer.body, { created: 1, updated: 0, deleted: 0, unchanged: 0, severed: null });
  assert.partialDeepStrictEqual((await api.send("GET", "/v1/bans/203.0.113.9")).body, { enforced: false });
});

test("10,000 bans with long reasons fit into one batch, and one pass", async (t) => {
  const api = await startApi(t);
  api.firewall.setBanRoom({ capacity: 20_000 });
  const put = Array.from({ length: 10_000 }, (_, index) => ({
    address: `198.18.${index >> 8}.${index & 255}`,
    reason: "r".repeat(200),
    expiresAt: "2027-01-01T00:00:00.000+00:00",
  }));
  const body = JSON.stringify({ put });
  assert.ok(body.length > 1_000_000);
  const answer = await api.send("POST", path, body);
  assert.equal(answer.status, 200);
  assert.partialDeepStrictEqual(answer.body, { created: 10_000 });
  assert.equal(api.enforcer.requests.length, 1);
  assert.partialDeepStrictEqual((await api.send("GET", "/v1/bans/198.18.39.15")).body, { enforced: true });
});
