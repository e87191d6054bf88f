import assert from "node:assert/strict";
import { test } from "node:test";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { samplePolicySpec } from "../support/samples.ts";
import { createTestServices, sampleBanRequest, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();

test("an address that nothing concerns gets in", async (t) => {
  const { look } = createTestServices(t);
  assert.deepEqual(await look.check("::ffff:203.0.113.9"), {
    address: "203.0.113.9",
    verdict: "allowed",
    bans: [],
    policies: [],
    grace: null,
    shadowedBy: [],
    enforced: true,
  });
});

test("the connection that would exceed a limit is refused, and the one before it is not", async (t) => {
  const { connections, policies, look } = createTestServices(t);
  await policies.put("web", samplePolicySpec({ ports: [80, 443], maxConnections: 3 }), {}, terms);
  await policies.put("mysql", samplePolicySpec({ mode: "off" }), {}, terms);
  connections.open("203.0.113.9", 80);
  connections.open("203.0.113.9", 443);
  connections.open("203.0.113.9", 3306, 9);
  connections.open("203.0.113.10", 443, 9);
  const web = {
    name: "web",
    mode: "enforce",
    ports: [80, 443],
    maxConnections: 3,
    openConnections: 2,
    overLimit: false,
    exempt: false,
    bannedUntil: null,
  };
  const before = await look.check("203.0.113.9");
  assert.deepEqual([before.verdict, before.policies], ["allowed", [web]]);
  connections.open("203.0.113.9", 443);
  const after = await look.check("203.0.113.9");
  assert.deepEqual([after.verdict, after.policies], ["limited", [{ ...web, openConnections: 3, overLimit: true }]]);
});

test("a policy counts the whole prefix, without those whom it exempts or who are protected", async (t) => {
  const { connections, policies, look } = createTestServices(t);
  await policies.put(
    "mysql",
    samplePolicySpec({
      maxConnections: 4,
      countPer: { ipv4Prefix: 8, ipv6Prefix: 56 },
      exempt: ["10.2.0.0/16", "2001:db8:0:ff::/64"],
    }),
    {},
    terms,
  );
  for (const source of ["10.0.0.1", "10.255.0.1", "10.2.0.1", "10.1.0.1", "11.0.0.1"]) connections.open(source, 3306, 2);
  for (const source of ["2001:db8:0:1::1", "2001:db8:0:fe::1", "2001:db8:0:ff::1", "2001:db8:0:100::1"]) {
    connections.open(source, 3306, 2);
  }
  for (const [address, verdict, open, exempt] of [
    ["10.9.9.9", "limited", 4, false],
    ["10.2.0.1", "allowed", 4, true],
    ["11.0.0.1", "allowed", 2, false],
    ["2001:db8:0:7::7", "limited", 4, false],
    ["2001:db8:0:ff::1", "allowed", 4, true],
    ["2001:db8:0:100::1", "allowed", 2, false],
  ] as const) {
    const check = await look.check(address);
    const [policy] = check.policies;
    assert.deepEqual([check.verdict, policy?.openConnections, policy?.exempt], [verdict, open, exempt], address);
  }
});

test("a policy that only observes refuses nothing, nor does one that the kernel does not hold", async (t) => {
  const { connections, enforcer, policies, look } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec({ mode: "observe" }), {}, terms);
  connections.open("203.0.113.9", 3306, 9);
  const observed = await look.check("203.0.113.9");
  assert.deepEqual([observed.verdict, observed.policies[0]?.overLimit], ["allowed", true]);
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  enforcer.delay("the lock is held");
  const pending = await look.check("203.0.113.9");
  assert.deepEqual([pending.verdict, pending.enforced], ["allowed", false]);
});

test("an address is banned by every ban that covers it, its networks' too, widest first", async (t) => {
  const { firewall, clock, policies, bans, look, kernelBan } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  for (const address of ["2001:db8::/32", "2001:db8:1:2::7", "2001:db8:1:2::8"])
    await bans.put(address, sampleBanRequest(), {}, terms);
  firewall.setPolicyBans([kernelBan("2001:db8:1:2::/64", "mysql"), kernelBan("2001:db8:1:3::/64", "mysql")]);
  const check = await look.check("2001:db8:1:2::7");
  assert.equal(check.verdict, "banned");
  assert.deepEqual(
    check.bans.map((ban) => ban.address),
    ["2001:db8::/32", "2001:db8:1:2::/64", "2001:db8:1:2::7"],
  );
  assert.equal(check.policies[0]?.bannedUntil, clock.now() + 60_000);
  assert.equal((await look.check("2001:db9::1")).verdict, "allowed");
});

test("a ban that the kernel does not hold lets the address in, and is shown", async (t) => {
  const { firewall, enforcer, bans, look, kernelBan } = createTestServices(t);
  firewall.setPolicyBans([{ ...kernelBan("203.0.113.9", "mysql"), enforced: false }]);
  enforcer.delay("the lock is held");
  await bans.put("203.0.113.10", sampleBanRequest(), {}, terms);
  enforcer.delay(undefined);
  for (const address of ["203.0.113.9", "203.0.113.10"]) {
    const { verdict, bans: covering } = await look.check(address);
    assert.deepEqual([verdict, covering.map((ban) => ban.enforced)], ["allowed", [false]], address);
  }
});

test("a ban that the kernel still holds refuses, although it is not wanted any more", async (t) => {
  const { store, bans, look } = createTestServices(t);
  await bans.put("198.51.100.0/24", sampleBanRequest(), {}, terms);
  await store.transact((change) => change.deleteOperatorBan("198.51.100.0/24"));
  const { verdict, bans: covering } = await look.check("198.51.100.7");
  assert.deepEqual([verdict, covering], ["banned", []]);
});

test("a policy's ban of a network spares the addresses in it that the policy exempts", async (t) => {
  const { firewall, policies, bans, look, kernelBan } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec({ exempt: ["2001:db8:1:2::7"] }), {}, terms);
  await policies.put("web", samplePolicySpec({ ports: [443] }), {}, terms);
  firewall.setPolicyBans([kernelBan("2001:db8:1:2::/64", "mysql")]);
  assert.equal((await look.check("2001:db8:1:2::8")).verdict, "banned");
  const spared = await look.check("2001:db8:1:2::7");
  assert.deepEqual([spared.verdict, spared.policies[0]?.bannedUntil], ["allowed", null]);
  firewall.setPolicyBans([kernelBan("2001:db8:1:2::/64", "mysql", "web")]);
  assert.equal((await look.check("2001:db8:1:2::7")).verdict, "banned");
  firewall.setPolicyBans([kernelBan("2001:db8:1:2::/64", "mysql")]);
  await bans.put("2001:db8:1:2::/64", sampleBanRequest(), {}, terms);
  assert.equal((await look.check("2001:db8:1:2::7")).verdict, "banned");
});

test("a protected address is asked nothing", async (t) => {
  const { connections, policies, look } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  connections.open("10.1.2.3", 3306, 9);
  const check = await look.check("10.1.2.3");
  assert.deepEqual([check.verdict, check.policies[0]?.overLimit], ["protected", false]);
});

test("a grace is shown until it ends, also that of a network around the address", async (t) => {
  const { firewall, clock, bans, look, kernelBan } = createTestServices(t);
  firewall.setPolicyBans([kernelBan("2001:db8:1:2::/64", "mysql")]);
  await bans.remove("2001:db8:1:2::/64", {}, terms, { graceSeconds: 600 });
  const until = clock.now() + 600_000;
  assert.equal((await look.check("2001:db8:1:2::7")).grace, until);
  assert.equal((await look.check("2001:db8:1:3::7")).grace, null);
  clock.advance(600_000);
  assert.equal((await look.check("2001:db8:1:2::7")).grace, null);
});

test("rules of others that are asked before ours are named", async (t) => {
  const { firewall, look } = createTestServices(t);
  const rule = "-A INPUT -s 203.0.113.0/24 -j ACCEPT";
  firewall.setShadows([rule]);
  assert.deepEqual((await look.check("203.0.113.9")).shadowedBy, [rule]);
});

test("nothing is answered while the kernel or its connections can't be read", async (t) => {
  const { firewall, connections, look } = createTestServices(t);
  const notReady = { code: "not-ready", message: /the lock is held/ };
  firewall.failReads(new EnforcementDelayed("the lock is held"));
  await assert.rejects(look.check("203.0.113.9"), notReady);
  await assert.rejects(look.status(), notReady);
  firewall.failReads(undefined);
  connections.fail(new EnforcementDelayed("the lock is held"));
  await assert.rejects(look.check("203.0.113.9"), notReady);
  await assert.rejects(look.connections({}), notReady);
});

for (const text of ["203.0.113.0/24", "here", "010.0.0.1", "fe80::1%eth0"]) {
  test(`${text} can't be checked: it is no address`, async (t) => {
    const { look } = createTestServices(t);
    await assert.rejects(look.check(text), { code: "invalid-input", message: /address/ });
  });
}

test("sources are listed by open connections, most first, then by address", async (t) => {
  const { connections, look } = createTestServices(t);
  for (const [source, count] of [
    ["203.0.113.20", 2],
    ["2001:db8::1", 2],
    ["203.0.113.3", 2],
    ["198.51.100.1", 5],
  ] as const) {
    connections.open(source, 3306, count);
  }
  connections.open("203.0.113.3", 443, 4);
  const { sources, distribution } = await look.connections({ port: 3306 });
  assert.deepEqual(sources, [
    { source: "198.51.100.1", connections: 5 },
    { source: "203.0.113.3", connections: 2 },
    { source: "203.0.113.20", connections: 2 },
    { source: "2001:db8::1", connections: 2 },
  ]);
  assert.deepEqual(distribution, { sources: 4, connections: 11, max: 5, p99: 5, p50: 2 });
  assert.deepEqual((await look.connections({})).sources[0], { source: "203.0.113.3", connections: 6 });
});

test("percentiles are connections that so many sources do not exceed", async (t) => {
  const { connections, look } = createTestServices(t);
  for (let number = 1; number <= 200; number += 1) connections.open(`203.0.113.${number}`, 80, number);
  assert.deepEqual((await look.connections({ port: 80 })).distribution, {
    sources: 200,
    connections: 20_100,
    max: 200,
    p99: 198,
    p50: 100,
  });
  assert.deepEqual((await look.connections({ port: 81 })).distribution, { sources: 0, connections: 0, max: 0, p99: 0, p50: 0 });
});

for (const port of [0, 65_536, 1.5, Number.NaN]) {
  test(`connections to port ${port} can't be asked for`, async (t) => {
    const { look } = createTestServices(t);
    await assert.rejects(look.connections({ port }), { code: "invalid-input", message: /port takes a whole number/ });
  });
}

test("the status counts policies, bans and graces that run, and names those over a limit", async (t) => {
  const { store, firewall, connections, clock, policies, bans, look, kernelBan } = createTestServices(t);
  firewall.setBanRoom({ capacity: 7, remedy: "remove bans" });
  firewall.setShadows(["-A INPUT -j ACCEPT"]);
  await policies.put(
    "mysql",
    samplePolicySpec({ countPer: { ipv4Prefix: 24, ipv6Prefix: 64 }, exempt: ["203.0.113.99"] }),
    {},
    terms,
  );
  await policies.put("web", samplePolicySpec({ ports: [443], mode: "observe", maxConnections: 1 }), {}, terms);
  await policies.put("ssh", samplePolicySpec({ ports: [22], mode: "off", maxConnections: 1 }), {}, terms);
  for (const address of ["203.0.113.1", "2001:db8::/32"]) await bans.put(address, sampleBanRequest(), {}, terms);
  await bans.put("203.0.113.2", sampleBanRequest({ expiry: { ttlSeconds: 1 } }), {}, terms);
  clock.advance(1_000);
  await store.transact((change) => {
    change.putGrace({ address: "203.0.113.3", until: clock.now() + 1 });
    change.putGrace({ address: "203.0.113.4", until: clock.now() });
  });
  firewall.setPolicyBans([kernelBan("203.0.113.5", "mysql"), { ...kernelBan("203.0.113.6", "mysql"), enforced: false }]);
  for (const source of ["203.0.113.7", "203.0.113.8", "203.0.113.99", "198.51.100.1"]) connections.open(source, 3306, 2);
  connections.open("198.51.100.1", 443, 2);
  connections.open("198.51.100.2", 443, 3);
  connections.open("198.51.100.2", 22, 3);
  assert.deepEqual(await look.status(), {
    inStep: true,
    failure: null,
    policies: { enforce: 1, observe: 1, off: 1 },
    bans: {
      ipv4: { operatorBans: 1, capacity: 7 },
      ipv6: { operatorBans: 1, capacity: 7 },
      policyBans: 2,
      notEnforced: 1,
      networks: true,
      remedy: "remove bans",
    },
    graces: 1,
    shadowedBy: ["-A INPUT -j ACCEPT"],
    overLimit: [
      { policy: "mysql", source: "203.0.113.0/24", connections: 4, maxConnections: 2 },
      { policy: "web", source: "198.51.100.2", connections: 3, maxConnections: 1 },
      { policy: "web", source: "198.51.100.1", connections: 2, maxConnections: 1 },
    ],
  });
});

test("the status says why the kernel is not in step", async (t) => {
  const { enforcer, look } = createTestServices(t);
  enforcer.delay("the lock is held");
  const { inStep, failure } = await look.status();
  assert.deepEqual([inStep, failure], [false, "the lock is held"]);
});

test("a ban refuses nobody while the rules that look at it are gone", async (t) => {
  const { firewall, bans, look } = createTestServices(t);
  await bans.put("203.0.113.9", sampleBanRequest(), {}, sampleTerms());
  assert.deepEqual([(await look.check("203.0.113.9")).verdict, (await look.check("203.0.113.9")).enforced], ["banned", true]);
  firewall.setInPlace(false);
  const { verdict, enforced, bans: covering } = await look.check("203.0.113.9");
  assert.deepEqual([verdict, enforced, covering.map((ban) => ban.enforced)], ["allowed", false, [false]]);
});
