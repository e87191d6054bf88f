import assert from "node:assert/strict";
import { test } from "node:test";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { assertProblem, startApi } from "./service.ts";

const policy = { ports: [3306], maxConnections: 2, ban: { seconds: 60 } };

test("an address that nothing is known of would be allowed", async (t) => {
  const api = await startApi(t);
  const { status, body } = await api.send("GET", "/v1/check/203.0.113.9");
  assert.equal(status, 200);
  assert.deepEqual(body, {
    address: "203.0.113.9",
    verdict: "allowed",
    bans: [],
    policies: [],
    graceUntil: null,
    shadowedBy: [],
    enforced: true,
  });
});

test("the verdict is what the kernel would do, with the bans and policies that concern the address", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/mysql", policy);
  await api.send("PUT", "/v1/bans/198.51.100.0%2F24", { reason: "scanners" });
  api.connections.open("203.0.113.10", 3306, 2);
  api.firewall.setPolicyBans([api.kernelBan("203.0.113.9", "mysql")]);
  api.firewall.setShadows(["IPv4 filter: -A INPUT -s 192.0.2.1/32 -j ACCEPT"]);
  for (const [address, expected] of [
    ["203.0.113.9", { verdict: "banned", policies: [{ name: "mysql", bannedUntil: "2026-11-22T08:01:00.000Z" }] }],
    ["203.0.113.10", { verdict: "limited", policies: [{ openConnections: 2, overLimit: true, bannedUntil: null }] }],
    ["198.51.100.77", { verdict: "banned", bans: [{ address: "198.51.100.0/24", causes: [{ reason: "scanners" }] }] }],
    ["203.0.113.11", { verdict: "allowed", bans: [], policies: [{ openConnections: 0, overLimit: false, exempt: false }] }],
    ["127.0.0.1", { verdict: "protected" }],
  ] as const) {
    const { body } = await api.send("GET", `/v1/check/${address}`);
    assert.partialDeepStrictEqual(body, { address, ...expected }, address);
    assert.partialDeepStrictEqual(body, { shadowedBy: ["IPv4 filter: -A INPUT -s 192.0.2.1/32 -j ACCEPT"] });
  }
});

test("an address is answered in its canonical form", async (t) => {
  const api = await startApi(t);
  for (const [path, address] of [
    ["::ffff:203.0.113.9", "203.0.113.9"],
    ["2001:DB8:0::5", "2001:db8::5"],
    ["2001%3adb8%3a%3a6", "2001:db8::6"],
  ] as const) {
    assert.partialDeepStrictEqual((await api.send("GET", `/v1/check/${path}`)).body, { address });
  }
});

test("what is no address can't be asked about", async (t) => {
  const api = await startApi(t);
  for (const path of ["nowhere", "10.0.0.0%2F8", "010.0.0.1", "fe80::1%25eth0", "10.0.0", "%20", "..%2Fx", "%00"]) {
    assertProblem(await api.send("GET", `/v1/check/${path}`), 400, "invalid-input", ["ip"]);
  }
  assertProblem(await api.send("GET", `/v1/check/${"1".repeat(1025)}`), 414, "uri-too-long");
});

test("a kernel that can't be read gives no verdict", async (t) => {
  const api = await startApi(t);
  api.firewall.failReads(new EnforcementDelayed("iptables-save fails"));
  const answer = await api.send("GET", "/v1/check/203.0.113.9");
  assertProblem(answer, 503, "not-ready");
  assert.match(JSON.stringify(answer.body), /iptables-save fails/);
});
