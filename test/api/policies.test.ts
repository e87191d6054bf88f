import assert from "node:assert/strict";
import { test } from "node:test";
import { DomainError } from "../../src/domain/errors.ts";
import { assertProblem, listed, nextCursor, startApi } from "./service.ts";

const now = "2026-11-22T08:00:00.000Z";
const minimal = { ports: [3306], maxConnections: 2 };
const full = {
  description: "one app node must not starve the others",
  protocol: "tcp",
  ports: [3306, 33060],
  maxConnections: 2,
  countPer: { ipv4Prefix: 24, ipv6Prefix: 56 },
  ban: { seconds: 60, scope: "ports", renewOnAttempt: true },
  rejectWith: "drop",
  exempt: ["10.0.0.0/8", "2001:db8::/32"],
  mode: "observe",
};

test("POST creates a policy with its defaults, and says where it is", async (t) => {
  const api = await startApi(t);
  const answer = await api.send("POST", "/v1/policies", { name: "mysql", ...minimal });
  assert.equal(answer.status, 201);
  assert.equal(answer.headers["location"], "/v1/policies/mysql");
  assert.equal(answer.headers["connlimitd-changed"], "true");
  assert.match(String(answer.headers["etag"]), /^"[^"]+"$/);
  assert.deepEqual(answer.body, {
    name: "mysql",
    description: "",
    protocol: "tcp",
    ports: [3306],
    maxConnections: 2,
    countPer: { ipv4Prefix: 32, ipv6Prefix: 64 },
    ban: null,
    rejectWith: "tcp-reset",
    exempt: [],
    mode: "enforce",
    revision: 1,
    createdAt: now,
    updatedAt: now,
    enforcement: { state: "enforced", since: now },
  });
});

test("POST of a name that is taken is a conflict and changes nothing", async (t) => {
  const api = await startApi(t);
  await api.send("POST", "/v1/policies", { name: "mysql", ...minimal });
  const answer = await api.send("POST", "/v1/policies", { name: "mysql", ports: [80], maxConnections: 9 });
  assertProblem(answer, 409, "already-exists");
  assert.equal(answer.headers["connlimitd-changed"], "false");
  assert.deepEqual(api.store.policy("mysql")?.ports, [3306]);
});

test("PUT creates, replaces, and does nothing when nothing differs", async (t) => {
  const api = await startApi(t);
  const created = await api.send("PUT", "/v1/policies/mysql", full);
  assert.equal(created.status, 201);
  assert.equal(created.headers["location"], "/v1/policies/mysql");
  assert.partialDeepStrictEqual(created.body, { name: "mysql", ...full, revision: 1 });

  const repeated = await api.send("PUT", "/v1/policies/mysql", { name: "mysql", ...full });
  assert.equal(repeated.status, 200);
  assert.equal(repeated.headers["connlimitd-changed"], "false");
  assert.equal(repeated.headers["etag"], created.headers["etag"]);
  assert.equal(repeated.headers["location"], undefined);

  const replaced = await api.send("PUT", "/v1/policies/mysql", minimal);
  assert.equal(replaced.status, 200);
  assert.equal(replaced.headers["connlimitd-changed"], "true");
  assert.notEqual(replaced.headers["etag"], created.headers["etag"]);
  assert.partialDeepStrictEqual(replaced.body, { description: "", ban: null, exempt: [], mode: "enforce", revision: 2 });
});

test("a ban without scope and renewal gets their defaults", async (t) => {
  const api = await startApi(t);
  const { body } = await api.send("PUT", "/v1/policies/mysql", { ...minimal, ban: { seconds: 4_294_967 } });
  assert.partialDeepStrictEqual(body, { ban: { seconds: 4_294_967, scope: "host", renewOnAttempt: false } });
});

test("PUT takes the name only as it stands in the path", async (t) => {
  const api = await startApi(t);
  assertProblem(await api.send("PUT", "/v1/policies/mysql", { name: "web", ...minimal }), 400, "invalid-input", ["/name"]);
  assert.equal(api.store.policies().length, 0);
});

test("GET answers the policy with its ETag, HEAD the same without the body", async (t) => {
  const api = await startApi(t);
  const { headers, body } = await api.send("PUT", "/v1/policies/mysql", full);
  const read = await api.send("GET", "/v1/policies/mysql");
  assert.equal(read.status, 200);
  assert.equal(read.headers["etag"], headers["etag"]);
  assert.equal(read.headers["cache-control"], "no-store");
  assert.deepEqual(read.body, body);
  const head = await api.send("HEAD", "/v1/policies/mysql");
  assert.equal(head.status, 200);
  assert.equal(head.headers["etag"], headers["etag"]);
  assert.equal(head.body, "");
});

test("PATCH merges: absent stays, null is the default, objects are merged", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/mysql", full);
  const patch = {
    maxConnections: 5,
    description: null,
    rejectWith: null,
    ban: { seconds: 90, scope: null },
    countPer: { ipv4Prefix: null },
  };
  const answer = await api.send("PATCH", "/v1/policies/mysql", patch, { "content-type": "application/merge-patch+json" });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["connlimitd-changed"], "true");
  assert.partialDeepStrictEqual(answer.body, {
    ...full,
    maxConnections: 5,
    description: "",
    rejectWith: "tcp-reset",
    ban: { seconds: 90, scope: "host", renewOnAttempt: true },
    countPer: { ipv4Prefix: 32, ipv6Prefix: 56 },
    revision: 2,
  });
});

test("PATCH takes plain JSON too, and an empty patch changes nothing", async (t) => {
  const api = await startApi(t);
  const before = await api.send("PUT", "/v1/policies/mysql", full);
  const answer = await api.send("PATCH", "/v1/policies/mysql", {});
  assert.equal(answer.status, 200);
  assert.equal(answer.headers["connlimitd-changed"], "false");
  assert.equal(answer.headers["etag"], before.headers["etag"]);
});

test("PATCH begins and ends a ban", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/mysql", minimal);
  assertProblem(await api.send("PATCH", "/v1/policies/mysql", { ban: { scope: "ports" } }), 400, "invalid-input", [
    "/ban/seconds",
  ]);
  const begun = await api.send("PATCH", "/v1/policies/mysql", { ban: { seconds: 60 } });
  assert.partialDeepStrictEqual(begun.body, { ban: { seconds: 60, scope: "host", renewOnAttempt: false } });
  const ended = await api.send("PATCH", "/v1/policies/mysql", {
    ban: null,
    countPer: null,
    exempt: null,
    mode: null,
    protocol: null,
  });
  assert.partialDeepStrictEqual(ended.body, { ban: null });
});

test("PATCH refuses to remove what has no default, and anything but an object", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/mysql", minimal);
  assertProblem(await api.send("PATCH", "/v1/policies/mysql", { ports: null }), 400, "invalid-input", ["/ports"]);
  assertProblem(await api.send("PATCH", "/v1/policies/mysql", { maxConnections: null }), 400, "invalid-input", [
    "/maxConnections",
  ]);
  assertProblem(await api.send("PATCH", "/v1/policies/mysql", [{ ports: [1] }]), 400, "invalid-input", [""]);
  assertProblem(await api.send("PATCH", "/v1/policies/mysql", "null"), 400, "invalid-input", [""]);
  assertProblem(await api.send("PATCH", "/v1/policies/web", { maxConnections: 3 }), 404, "not-found");
  assert.equal(api.store.policy("mysql")?.revision, 1);
});

test("only PATCH takes a merge patch", async (t) => {
  const api = await startApi(t);
  const answer = await api.send("PUT", "/v1/policies/mysql", minimal, { "content-type": "application/merge-patch+json" });
  assertProblem(answer, 415, "unsupported-media-type");
});

test("DELETE removes once", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/mysql", minimal);
  const removed = await api.send("DELETE", "/v1/policies/mysql");
  assert.equal(removed.status, 204);
  assert.equal(removed.headers["connlimitd-changed"], "true");
  assert.equal(removed.body, "");
  const again = await api.send("DELETE", "/v1/policies/mysql");
  assertProblem(again, 404, "not-found");
  assert.equal(again.headers["connlimitd-changed"], "false");
  assertProblem(await api.send("GET", "/v1/policies/mysql"), 404, "not-found");
});

test("a write that the kernel has not yet taken is 202 and pending", async (t) => {
  const api = await startApi(t);
  api.enforcer.delay("the xtables lock is held");
  const created = await api.send("POST", "/v1/policies", { name: "mysql", ...minimal });
  assert.equal(created.status, 202);
  assert.equal(created.headers["location"], "/v1/policies/mysql");
  assert.partialDeepStrictEqual(created.body, { enforcement: { state: "pending", message: "the xtables lock is held" } });
  assert.equal((await api.send("PUT", "/v1/policies/web", minimal)).status, 202);
  assert.equal(
    (await api.send("PUT", "/v1/policies/web", minimal)).status,
    202,
    "nothing changed, and still it is not in the kernel",
  );
  assert.equal((await api.send("PATCH", "/v1/policies/web", { maxConnections: 3 })).status, 202);
  const removed = await api.send("DELETE", "/v1/policies/web");
  assert.equal(removed.status, 202);
  assert.equal(removed.headers["connlimitd-changed"], "true");
  assert.partialDeepStrictEqual(removed.body, { enforcement: { state: "pending" } });
});

test("what the kernel refuses is 422 with its message, and is not stored", async (t) => {
  const api = await startApi(t);
  api.firewall.failChecks(new DomainError("kernel-refused", "iptables-restore: line 3 failed"));
  const answer = await api.send("PUT", "/v1/policies/mysql", minimal);
  assertProblem(answer, 422, "kernel-refused");
  assert.partialDeepStrictEqual(answer.body, { detail: "iptables-restore: line 3 failed" });
  assert.equal(api.store.policies().length, 0);
});

test("a policy that is off says so", async (t) => {
  const api = await startApi(t);
  const { body } = await api.send("PUT", "/v1/policies/mysql", { ...minimal, mode: "off" });
  assert.partialDeepStrictEqual(body, { mode: "off", enforcement: { state: "off" } });
});

test("the list is sorted by name and comes in pages", async (t) => {
  const api = await startApi(t);
  for (const name of ["d", "b", "a", "c"]) await api.send("PUT", `/v1/policies/${name}`, minimal);
  const whole = await api.send("GET", "/v1/policies");
  assert.deepEqual(listed(whole, "name"), ["a", "b", "c", "d"]);
  assert.partialDeepStrictEqual(whole.body, { nextCursor: null });
  const first = await api.send("GET", "/v1/policies?limit=2");
  assert.deepEqual(listed(first, "name"), ["a", "b"]);
  const second = await api.send("GET", `/v1/policies?limit=2&cursor=${nextCursor(first)}`);
  assert.deepEqual(listed(second, "name"), ["c", "d"]);
  assert.partialDeepStrictEqual(second.body, { nextCursor: null });
});

test("what comes and goes between two pages makes no other policy appear twice or never", async (t) => {
  const api = await startApi(t);
  for (const name of ["b", "d", "f", "h"]) await api.send("PUT", `/v1/policies/${name}`, minimal);
  const cursor = nextCursor(await api.send("GET", "/v1/policies?limit=2"));
  await api.send("DELETE", "/v1/policies/d");
  await api.send("DELETE", "/v1/policies/b");
  await api.send("PUT", "/v1/policies/a", minimal);
  await api.send("PUT", "/v1/policies/e", minimal);
  assert.deepEqual(listed(await api.send("GET", `/v1/policies?cursor=${cursor}`), "name"), ["e", "f", "h"]);
});
