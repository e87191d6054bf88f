import assert from "node:assert/strict";
import { test } from "node:test";
import { isRecord } from "../../src/api/requests/schema-words.ts";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { assertProblem, startApi } from "./service.ts";

test("a sound service is ok, and says what it stands on", async (t) => {
  const api = await startApi(t);
  const { status, body } = await api.send("GET", "/v1/status");
  assert.equal(status, 200);
  assert.ok(isRecord(body) && typeof body["uptimeSeconds"] === "number");
  const { uptimeSeconds: _uptime, ...rest } = body;
  assert.deepEqual(rest, {
    version: "0.0.0-test",
    state: "ok",
    inStep: true,
    failure: null,
    backend: { name: "nft", iptablesVersion: "1.8.9", otherBackendInUse: false, ipset: { available: true, reason: null } },
    passes: { lastAt: null, repairs: { count: 0, latest: [] } },
    policies: { enforce: 0, observe: 0, off: 0 },
    bans: {
      ipv4: { operatorBans: 0, capacity: 100 },
      ipv6: { operatorBans: 0, capacity: 100 },
      policyBans: 0,
      notEnforced: 0,
      networks: true,
      remedy: "remove bans that are not needed",
    },
    graces: 0,
    lists: [],
    shadowedBy: [],
    countsForgottenAt: null,
    overLimit: [],
    warnings: [],
  });
});

test("policies, bans, lists and sources over a limit are counted", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/mysql", { ports: [3306], maxConnections: 2 });
  await api.send("PUT", "/v1/policies/web", { ports: [443], maxConnections: 2, mode: "off" });
  await api.send("PUT", "/v1/bans/203.0.113.9", {});
  await api.send("DELETE", "/v1/bans/203.0.113.9?graceSeconds=60");
  await api.send("PUT", "/v1/bans/2001:db8::%2F64", {});
  api.firewall.setPolicyBans([api.kernelBan("203.0.113.10", "mysql")]);
  api.connections.open("203.0.113.11", 3306, 3);
  const lists = [
    { name: "cld4-operator", kind: "xt_recent", entries: 0, capacity: 100 },
    { name: "cld6-operator", kind: "ipset", entries: 1, capacity: 65_536 },
  ] as const;
  api.inspector.setFacts({ lists });
  const { body } = await api.send("GET", "/v1/status");
  assert.partialDeepStrictEqual(body, {
    state: "ok",
    policies: { enforce: 1, observe: 0, off: 1 },
    bans: { ipv4: { operatorBans: 0 }, ipv6: { operatorBans: 1 }, policyBans: 1 },
    graces: 1,
    lists,
    overLimit: [{ policy: "mysql", source: "203.0.113.11", connections: 3, maxConnections: 2 }],
  });
});

test("the passes that put something right are told, newest first", async (t) => {
  const api = await startApi(t);
  const at = api.clock.now();
  api.enforcement.set(at, [
    { at, found: ["IPv4: chain CLD-INPUT is missing"], writes: 12 },
    { at: at - 5000, found: ["cld4-operator: 203.0.113.9 is missing"], writes: 1 },
  ]);
  const { body } = await api.send("GET", "/v1/status");
  assert.partialDeepStrictEqual(body, {
    passes: {
      lastAt: "2026-11-22T08:00:00.000Z",
      repairs: {
        count: 2,
        latest: [
          { at: "2026-11-22T08:00:00.000Z", found: ["IPv4: chain CLD-INPUT is missing"], writes: 12 },
          { at: "2026-11-22T07:59:55.000Z", writes: 1 },
        ],
      },
    },
  });
});

test("what may need a person makes it a warning", async (t) => {
  const api = await startApi(t);
  api.inspector.setFacts({ backend: "legacy", otherBackendInUse: true, countsForgottenAt: api.clock.now() });
  api.firewall.setShadows(["IPv4 filter: -A INPUT -j ACCEPT"]);
  const { body } = await api.send("GET", "/v1/status");
  assert.partialDeepStrictEqual(body, {
    state: "warning",
    backend: { name: "legacy", otherBackendInUse: true },
    shadowedBy: ["IPv4 filter: -A INPUT -j ACCEPT"],
    countsForgottenAt: "2026-11-22T08:00:00.000Z",
    warnings: [{ code: "both-backends" }, { code: "rules-above" }, { code: "counts-forgotten" }],
  });
});

test("a kernel that is not in step makes it failing, whatever else there is", async (t) => {
  const api = await startApi(t);
  api.enforcer.delay("the xtables lock is held");
  api.inspector.setFacts({ otherBackendInUse: true });
  const { status, body } = await api.send("GET", "/v1/status");
  assert.equal(status, 200);
  assert.partialDeepStrictEqual(body, {
    state: "failing",
    inStep: false,
    failure: "the xtables lock is held",
    warnings: [{ code: "not-in-step" }, { code: "both-backends" }],
  });
});

test("a kernel that can't be read at all is 503 with the reason", async (t) => {
  const api = await startApi(t);
  api.inspector.fail(new EnforcementDelayed("iptables-save: Permission denied"));
  const facts = await api.send("GET", "/v1/status");
  assertProblem(facts, 503, "not-ready");
  assert.match(JSON.stringify(facts.body), /iptables-save: Permission denied/);
  const other = await startApi(t);
  other.connections.fail(new EnforcementDelayed("conntrack is missing"));
  assertProblem(await other.send("GET", "/v1/status"), 503, "not-ready");
});
