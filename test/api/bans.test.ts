import assert from "node:assert/strict";
import { test } from "node:test";
import { assertProblem, listed, nextCursor, startApi } from "./service.ts";

const now = "2026-11-22T08:00:00.000Z";

test("POST bans an address in the name of the caller, until it is removed", async (t) => {
  const api = await startApi(t);
  const answer = await api.send("POST", "/v1/bans", { address: "203.0.113.9", reason: "scanner, OPS-123" });
  assert.equal(answer.status, 201);
  assert.equal(answer.headers["location"], "/v1/bans/203.0.113.9");
  assert.equal(answer.headers["connlimitd-changed"], "true");
  assert.match(String(answer.headers["etag"]), /^"[^"]+"$/);
  assert.deepEqual(answer.body, {
    address: "203.0.113.9",
    expiresAt: null,
    enforced: true,
    causes: [{ by: "operator", actor: "admin", reason: "scanner, OPS-123", since: now, expiresAt: null }],
    severed: 0,
  });
});

test("over a unix socket the actor is socket", async (t) => {
  const api = await startApi(t, { transport: "unix" });
  const { body } = await api.send("PUT", "/v1/bans/203.0.113.9", {});
  assert.partialDeepStrictEqual(body, { causes: [{ by: "operator", actor: "socket" }] });
});

test("POST where an operator's ban exists is a conflict, where only a policy's does it is not", async (t) => {
  const api = await startApi(t);
  api.firewall.setPolicyBans([api.kernelBan("203.0.113.9", "mysql")]);
  const answer = await api.send("POST", "/v1/bans", { address: "203.0.113.9" });
  assert.equal(answer.status, 201);
  assert.partialDeepStrictEqual(answer.body, {
    expiresAt: null,
    causes: [{ by: "operator" }, { by: "policy", policy: "mysql" }],
  });
  const again = await api.send("POST", "/v1/bans", { address: "203.0.113.9" });
  assertProblem(again, 409, "already-exists");
  assert.equal(again.headers["connlimitd-changed"], "false");
});

test("PUT creates, starts the time anew, and does nothing when nothing differs", async (t) => {
  const api = await startApi(t);
  const created = await api.send("PUT", "/v1/bans/203.0.113.9", { ttlSeconds: 60 });
  assert.equal(created.status, 201);
  assert.equal(created.headers["location"], "/v1/bans/203.0.113.9");
  assert.partialDeepStrictEqual(created.body, { expiresAt: "2026-11-22T08:01:00.000Z" });

  api.clock.advance(10_000);
  const anew = await api.send("PUT", "/v1/bans/203.0.113.9", { ttlSeconds: 60 });
  assert.equal(anew.status, 200);
  assert.equal(anew.headers["connlimitd-changed"], "true");
  assert.notEqual(anew.headers["etag"], created.headers["etag"]);
  assert.partialDeepStrictEqual(anew.body, { expiresAt: "2026-11-22T08:01:10.000Z" });

  const body = { address: "203.0.113.9", expiresAt: "2026-12-01T12:00:00.5+02:00" };
  const until = await api.send("PUT", "/v1/bans/203.0.113.9", body);
  assert.partialDeepStrictEqual(until.body, { expiresAt: "2026-12-01T10:00:00.500Z" });
  const repeated = await api.send("PUT", "/v1/bans/203.0.113.9", body);
  assert.equal(repeated.status, 200);
  assert.equal(repeated.headers["connlimitd-changed"], "false");
  assert.equal(repeated.headers["etag"], until.headers["etag"]);
});

test("every way to write an end in RFC 3339 is taken", async (t) => {
  const api = await startApi(t);
  for (const [text, end] of [
    ["2027-01-01t00:00:00z", "2027-01-01T00:00:00.000Z"],
    ["2027-01-01T00:00:00.123456789Z", "2027-01-01T00:00:00.123Z"],
    ["2027-01-01T00:00:00-23:59", "2027-01-01T23:59:00.000Z"],
    ["2028-02-29T00:00:00+00:00", "2028-02-29T00:00:00.000Z"],
    ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z"],
  ] as const) {
    const { body } = await api.send("PUT", "/v1/bans/203.0.113.9", { expiresAt: text });
    assert.partialDeepStrictEqual(body, { expiresAt: end }, text);
  }
});

test("a reason is text like any other and comes back verbatim", async (t) => {
  const api = await startApi(t);
  for (const reason of [
    `"'\`; $(reboot) \\ <b> %s`,
    "😀 é ü",
    "--reject-with\\ntcp-reset",
    "x".repeat(200),
    "😀".repeat(200),
    "",
  ]) {
    await api.send("PUT", "/v1/bans/203.0.113.9", { reason });
    const { body } = await api.send("GET", "/v1/bans/203.0.113.9");
    assert.partialDeepStrictEqual(body, { causes: [{ reason }] });
  }
});

test("an address may be written in more ways than one, and is answered in one", async (t) => {
  const api = await startApi(t);
  for (const [path, canonical] of [
    ["2001:DB8:0:0::5", "2001:db8::5"],
    ["2001%3adb8%3a%3a6", "2001:db8::6"],
    ["::ffff:203.0.113.9", "203.0.113.9"],
    ["203.0.113.10%2F32", "203.0.113.10"],
  ] as const) {
    const { status, body, headers } = await api.send("PUT", `/v1/bans/${path}`, { address: canonical });
    assert.equal(status, 201);
    assert.equal(headers["location"], `/v1/bans/${canonical}`);
    assert.partialDeepStrictEqual(body, { address: canonical });
    assert.equal((await api.send("GET", `/v1/bans/${path}`)).status, 200);
  }
});

test("PUT takes the address only as it stands in the path", async (t) => {
  const api = await startApi(t);
  assertProblem(await api.send("PUT", "/v1/bans/203.0.113.9", { address: "203.0.113.10" }), 400, "invalid-input", ["/address"]);
  assertProblem(await api.send("PUT", "/v1/bans/203.0.113.9", { address: "nowhere" }), 400, "invalid-input", ["/address"]);
  assert.equal(api.store.revision(), 0);
});

test("the slash of a network is percent-encoded, a bare one makes another path", async (t) => {
  const api = await startApi(t);
  api.firewall.setPolicyBans([api.kernelBan("2001:db8:1:2::/64", "mysql")]);
  const answer = await api.send("GET", "/v1/bans/2001:db8:1:2::%2f64");
  assert.partialDeepStrictEqual(answer.body, {
    address: "2001:db8:1:2::/64",
    expiresAt: "2026-11-22T08:01:00.000Z",
    causes: [{ by: "policy", policy: "mysql", since: now, expiresAt: "2026-11-22T08:01:00.000Z" }],
  });
  assertProblem(await api.send("GET", "/v1/bans/2001:db8:1:2::/64"), 404, "not-found");
  assertProblem(await api.send("GET", "/v1/bans/203.0.113.9"), 404, "not-found");
});

test("networks are banned like addresses", async (t) => {
  const api = await startApi(t);
  const put = await api.send("PUT", "/v1/bans/198.51.100.0%2F24", {});
  assert.equal(put.status, 201);
  assert.equal(put.headers["location"], "/v1/bans/198.51.100.0%2F24");
  assert.partialDeepStrictEqual(put.body, { address: "198.51.100.0/24", enforced: true });
  const posted = await api.send("POST", "/v1/bans", { address: "2001:db8::/64" });
  assert.equal(posted.headers["location"], "/v1/bans/2001:db8::%2F64");
  assert.deepEqual(listed(await api.send("GET", "/v1/bans?covers=198.51.100.7"), "address"), ["198.51.100.0/24"]);
  assert.equal((await api.send("DELETE", "/v1/bans/198.51.100.0%2F24")).status, 204);
});

test("networks where the kernel can't ban them are 422 with the remedy, nothing stored", async (t) => {
  const api = await startApi(t);
  api.firewall.setBanRoom({ networks: false, remedy: "install ipset" });
  const refused = await api.send("PUT", "/v1/bans/198.51.100.0%2F24", {});
  assert.match(JSON.stringify(refused.body), /install ipset/);
  assertProblem(await api.send("PUT", "/v1/bans/198.51.100.0%2F24", {}), 422, "network-unsupported");
  assertProblem(await api.send("POST", "/v1/bans", { address: "2001:db8::/64" }), 422, "network-unsupported");
  assert.equal(api.store.revision(), 0);
});

test("protected networks are never banned: 409", async (t) => {
  const api = await startApi(t);
  assertProblem(await api.send("PUT", "/v1/bans/127.0.0.1", {}), 409, "lockout");
  assertProblem(await api.send("POST", "/v1/bans", { address: "127.8.8.8" }), 409, "lockout");
});

test("a full list is 507 with the way out, and changes nothing", async (t) => {
  const api = await startApi(t);
  api.firewall.setBanRoom({ capacity: 1 });
  await api.send("PUT", "/v1/bans/203.0.113.1", {});
  const answer = await api.send("PUT", "/v1/bans/203.0.113.2", {});
  assertProblem(answer, 507, "no-room");
  assert.equal(answer.headers["connlimitd-changed"], "false");
  assertProblem(await api.send("POST", "/v1/bans", { address: "203.0.113.3" }), 507, "no-room");
  assert.deepEqual(listed(await api.send("GET", "/v1/bans"), "address"), ["203.0.113.1"]);
});

test("DELETE lifts every cause, once", async (t) => {
  const api = await startApi(t);
  api.firewall.setPolicyBans([api.kernelBan("203.0.113.9", "mysql")]);
  await api.send("PUT", "/v1/bans/203.0.113.9", {});
  const removed = await api.send("DELETE", "/v1/bans/203.0.113.9");
  assert.equal(removed.status, 204);
  assert.equal(removed.headers["connlimitd-changed"], "true");
  assert.equal(removed.body, "");
  const again = await api.send("DELETE", "/v1/bans/203.0.113.9");
  assertProblem(again, 404, "not-found");
  assert.equal(again.headers["connlimitd-changed"], "false");
});

test("a write that the kernel has not yet taken is 202 and not enforced", async (t) => {
  const api = await startApi(t);
  api.enforcer.delay("the xtables lock is held");
  const created = await api.send("POST", "/v1/bans", { address: "203.0.113.9" });
  assert.equal(created.status, 202);
  assert.equal(created.headers["location"], "/v1/bans/203.0.113.9");
  assert.partialDeepStrictEqual(created.body, { enforced: false });
  assert.equal((await api.send("PUT", "/v1/bans/203.0.113.9", { ttlSeconds: 5 })).status, 202);
  const removed = await api.send("DELETE", "/v1/bans/203.0.113.9");
  assert.equal(removed.status, 202);
  assert.partialDeepStrictEqual(removed.body, { enforcement: { state: "pending" } });
});

test("the list is sorted by address and narrowed by its filters", async (t) => {
  const api = await startApi(t);
  for (const address of ["203.0.113.10", "203.0.113.9", "2001:db8::5", "198.51.100.7"])
    await api.send("PUT", `/v1/bans/${address}`, {});
  api.firewall.setPolicyBans([api.kernelBan("203.0.113.9", "mysql"), api.kernelBan("2001:db8:1:2::/64", "web")]);
  const all = ["198.51.100.7", "203.0.113.9", "203.0.113.10", "2001:db8::5", "2001:db8:1:2::/64"];
  for (const [query, expected] of [
    ["", all],
    ["?by=operator", all.slice(0, 4)],
    ["?by=policy", ["203.0.113.9", "2001:db8:1:2::/64"]],
    ["?policy=web", ["2001:db8:1:2::/64"]],
    ["?covers=2001:db8:1:2::99", ["2001:db8:1:2::/64"]],
    ["?covers=203.0.113.9", ["203.0.113.9"]],
    ["?within=203.0.113.0/24", ["203.0.113.9", "203.0.113.10"]],
    ["?within=203.0.113.0%2F24&by=policy", ["203.0.113.9"]],
    ["?policy=ssh", []],
  ] as const) {
    assert.deepEqual(listed(await api.send("GET", `/v1/bans${query}`), "address"), expected, query);
  }
  const first = await api.send("GET", "/v1/bans?limit=3");
  const second = await api.send("GET", `/v1/bans?limit=3&cursor=${nextCursor(first)}`);
  assert.deepEqual([...listed(first, "address"), ...listed(second, "address")], all);
  assert.partialDeepStrictEqual(second.body, { nextCursor: null });
});
