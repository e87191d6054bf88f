import assert from "node:assert/strict";
import { test } from "node:test";
import { DomainError } from "../../src/domain/errors.ts";
import { banDefaults } from "../../src/domain/policy.ts";
import { policyVersion } from "../../src/domain/policy-service.ts";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { sampleOperatorBan, samplePolicy, samplePolicySpec } from "../support/samples.ts";
import { createTestServices, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();

test("a created policy is stored at revision 1 and in the kernel", async (t) => {
  const { store, firewall, clock, policies } = createTestServices(t);
  const outcome = await policies.create("mysql", samplePolicySpec(), terms);
  const resource = { ...samplePolicySpec(), name: "mysql", revision: 1, createdAt: clock.now(), updatedAt: clock.now() };
  assert.deepEqual(outcome, { resource, created: true, changed: true, enforced: true, confirmation: null });
  assert.deepEqual(policies.get("mysql"), resource);
  assert.deepEqual(store.policies(), [resource]);
  assert.deepEqual(firewall.applied.policies, [resource]);
});

test("a name that exists can't be created again", async (t) => {
  const { policies } = createTestServices(t);
  await policies.create("mysql", samplePolicySpec(), terms);
  await assert.rejects(policies.create("mysql", samplePolicySpec({ ports: [1] }), terms), { code: "already-exists" });
  assert.deepEqual(policies.get("mysql").ports, [3306]);
});

test("of many who create one name at the same time one succeeds", async (t) => {
  const { policies } = createTestServices(t);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, (_, index) => policies.create("mysql", samplePolicySpec({ maxConnections: index + 1 }), terms)),
  );
  assert.equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 1);
  assert.equal(policies.get("mysql").revision, 1);
});

test("a put of what is there changes nothing and asks nobody", async (t) => {
  const { store, firewall, clock, enforcer, policies } = createTestServices(t);
  const { resource } = await policies.put("mysql", samplePolicySpec({ exempt: ["10.0.0.0/8"] }), {}, terms);
  clock.advance(5_000);
  const outcome = await policies.put("mysql", samplePolicySpec({ exempt: ["10.0.0.0/8"] }), {}, terms);
  assert.deepEqual(outcome, { resource, created: false, changed: false, enforced: true, confirmation: null });
  assert.equal(store.revision(), 1);
  assert.equal(firewall.checks.length, 1);
  assert.equal(enforcer.requests.length, 1);
});

test("an unchanged put still tells that the kernel does not hold the policy yet", async (t) => {
  const { enforcer, policies } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  enforcer.delay("the lock is held");
  const outcome = await policies.put("mysql", samplePolicySpec(), {}, terms);
  assert.deepEqual([outcome.changed, outcome.enforced], [false, false]);
});

test("an unchanged put of a policy that is off is as enforced as can be", async (t) => {
  const { enforcer, policies } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec({ mode: "off" }), {}, terms);
  enforcer.delay("the lock is held");
  assert.equal((await policies.put("mysql", samplePolicySpec({ mode: "off" }), {}, terms)).enforced, true);
});

test("a put of something else moves the revision on and keeps the creation time", async (t) => {
  const { clock, policies } = createTestServices(t);
  const first = await policies.put("mysql", samplePolicySpec(), {}, terms);
  clock.advance(5_000);
  const second = await policies.put("mysql", samplePolicySpec({ maxConnections: 3 }), {}, terms);
  assert.deepEqual([second.created, second.changed, second.enforced], [false, true, true]);
  assert.equal(second.resource.revision, 2);
  assert.equal(second.resource.createdAt, first.resource.createdAt);
  assert.equal(second.resource.updatedAt, first.resource.createdAt + 5_000);
});

test("the kernel is asked about the policies as they would be", async (t) => {
  const { firewall, policies } = createTestServices(t);
  await policies.put("web", samplePolicySpec({ ports: [443] }), {}, terms);
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  await policies.put("mysql", samplePolicySpec({ maxConnections: 9 }), {}, terms);
  assert.deepEqual(
    firewall.checks.map((desired) => desired.policies.map((policy) => `${policy.name} ${policy.maxConnections}`)),
    [["web 2"], ["mysql 2", "web 2"], ["mysql 9", "web 2"]],
  );
});

test("what the kernel refuses is not stored", async (t) => {
  const { store, firewall, enforcer, policies } = createTestServices(t);
  firewall.failChecks(new DomainError("kernel-refused", "iptables-restore: line 3 failed"));
  await assert.rejects(policies.put("mysql", samplePolicySpec(), {}, terms), { code: "kernel-refused", message: /line 3/ });
  assert.deepEqual(store.policies(), []);
  assert.equal(enforcer.requests.length, 0);
});

test("what the kernel refuses although its check passed does not stay stored", async (t) => {
  const { store, enforcer, policies } = createTestServices(t);
  const { resource } = await policies.put("mysql", samplePolicySpec(), {}, terms);
  enforcer.refuse(new DomainError("kernel-refused", "iptables-restore: line 3 failed"));
  const refused = { code: "kernel-refused", message: /line 3/ };
  await assert.rejects(policies.put("mysql", samplePolicySpec({ maxConnections: 9 }), {}, terms), refused);
  await assert.rejects(policies.create("web", samplePolicySpec(), terms), refused);
  assert.deepEqual(store.policies(), [resource]);
});

test("a refused policy that somebody has changed meanwhile stays theirs", async (t) => {
  const { store, enforcer, policies } = createTestServices(t);
  enforcer.refuse(new DomainError("kernel-refused", "iptables-restore: line 3 failed"));
  const first = policies.put("mysql", samplePolicySpec(), {}, terms);
  const theirs = samplePolicy({ revision: 7 });
  const second = store.transact((change) => change.putPolicy(theirs));
  await assert.rejects(first, { code: "kernel-refused" });
  await second;
  assert.deepEqual(store.policies(), [theirs]);
});

test("a removal stays, even when the kernel refuses what is left", async (t) => {
  const { store, enforcer, policies } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  enforcer.refuse(new DomainError("kernel-refused", "iptables-restore: line 3 failed"));
  assert.deepEqual(await policies.remove("mysql", {}, terms), { enforced: false, confirmation: null });
  assert.deepEqual(store.policies(), []);
});

test("the kernel is asked about live bans, waiting lifts and running graces too", async (t) => {
  const { store, firewall, clock, policies } = createTestServices(t);
  const grace = { address: "203.0.113.9", until: clock.now() + 1_000 };
  await store.transact((change) => {
    change.putOperatorBan(sampleOperatorBan({ address: "203.0.113.1", expiresAt: clock.now() }));
    change.putOperatorBan(sampleOperatorBan({ address: "203.0.113.2" }));
    change.putLift("203.0.113.3");
    change.putGrace(grace);
    change.putGrace({ address: "203.0.113.4", until: clock.now() });
  });
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  const [asked] = firewall.checks;
  assert.deepEqual(
    asked?.operatorBans.map((ban) => ban.address),
    ["203.0.113.2"],
  );
  assert.deepEqual([asked.lifts, asked.graces], [["203.0.113.3"], [grace]]);
});

test("a kernel that can't be asked now does not keep a policy from being stored", async (t) => {
  const { store, firewall, enforcer, policies } = createTestServices(t);
  firewall.failChecks(new EnforcementDelayed("the lock is held"));
  enforcer.delay("the lock is held");
  const outcome = await policies.put("mysql", samplePolicySpec(), {}, terms);
  assert.deepEqual([outcome.created, outcome.changed, outcome.enforced], [true, true, false]);
  assert.equal(store.policies().length, 1);
});

test("a policy that breaks a rule is refused before anybody is asked", async (t) => {
  const { firewall, policies } = createTestServices(t);
  await assert.rejects(policies.put("mysql", samplePolicySpec({ ports: [80, 80] }), {}, terms), {
    code: "invalid-input",
    errors: [{ pointer: "/ports/1", message: "80 stands there already, as /ports/0" }],
  });
  await assert.rejects(policies.create("no/name", samplePolicySpec(), terms), { code: "invalid-input" });
  await assert.rejects(policies.put("no/name", samplePolicySpec(), {}, terms), { code: "invalid-input" });
  assert.equal(firewall.checks.length, 0);
});

test("a put holds to If-Match and If-None-Match", async (t) => {
  const { policies } = createTestServices(t);
  const refused = { code: "precondition-failed" };
  await assert.rejects(policies.put("mysql", samplePolicySpec(), { ifMatch: "*" }, terms), refused);
  const { resource: first } = await policies.put("mysql", samplePolicySpec(), { ifNoneMatch: "*" }, terms);
  await assert.rejects(policies.put("mysql", samplePolicySpec(), { ifNoneMatch: "*" }, terms), refused);
  const changed = samplePolicySpec({ maxConnections: 3 });
  await assert.rejects(policies.put("mysql", changed, { ifMatch: ["another"] }, terms), refused);
  await policies.put("mysql", changed, { ifMatch: ["another", policyVersion(first)] }, terms);
  await assert.rejects(policies.put("mysql", changed, { ifMatch: [policyVersion(first)] }, terms), refused);
  assert.equal(policies.get("mysql").revision, 2);
});

test("of many who change one version at the same time one succeeds", async (t) => {
  const { policies } = createTestServices(t);
  const { resource } = await policies.put("mysql", samplePolicySpec(), {}, terms);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, (_, index) =>
      policies.put("mysql", samplePolicySpec({ maxConnections: index + 10 }), { ifMatch: [policyVersion(resource)] }, terms),
    ),
  );
  assert.equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 1);
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") assert.equal(outcome.reason.code, "precondition-failed");
  }
  assert.equal(policies.get("mysql").revision, 2);
});

test("edits at the same time all count: each is made on what the others left, and the kernel is asked about that", async (t) => {
  const { firewall, policies } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec({ ports: [1] }), {}, terms);
  await Promise.all(
    [2, 3, 4, 5].map((port) => policies.edit("mysql", (current) => ({ ...current, ports: [...current.ports, port] }), {}, terms)),
  );
  assert.deepEqual([...policies.get("mysql").ports].sort(), [1, 2, 3, 4, 5]);
  assert.equal(policies.get("mysql").revision, 5);
  assert.ok(firewall.checks.some((desired) => desired.policies[0]?.ports.length === 5));
});

test("an edit sees only what a caller decides, and needs a policy", async (t) => {
  const { policies } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  let seen: unknown;
  const outcome = await policies.edit(
    "mysql",
    (current) => {
      seen = current;
      return { ...current, mode: "observe" };
    },
    {},
    terms,
  );
  assert.deepEqual(seen, samplePolicySpec());
  assert.equal(outcome.resource.mode, "observe");
  await assert.rejects(
    policies.edit("web", (current) => current, { ifMatch: "*" }, terms),
    { code: "not-found" },
  );
});

test("a removed policy is gone from the store and from the kernel", async (t) => {
  const { firewall, enforcer, policies } = createTestServices(t);
  const { resource } = await policies.put("mysql", samplePolicySpec(), {}, terms);
  await assert.rejects(policies.remove("mysql", { ifMatch: ["another"] }, terms), { code: "precondition-failed" });
  assert.deepEqual(await policies.remove("mysql", { ifMatch: [policyVersion(resource)] }, terms), {
    enforced: true,
    confirmation: null,
  });
  assert.throws(() => policies.get("mysql"), { code: "not-found" });
  assert.deepEqual(firewall.applied.policies, []);
  await assert.rejects(policies.remove("mysql", {}, terms), { code: "not-found" });
  enforcer.delay("the lock is held");
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  assert.deepEqual(await policies.remove("mysql", {}, terms), { enforced: false, confirmation: null });
});

test("a policy made anew has another version than the one before, in the same millisecond too", async (t) => {
  const { policies } = createTestServices(t);
  const first = await policies.put("mysql", samplePolicySpec(), {}, terms);
  await policies.remove("mysql", {}, terms);
  const second = await policies.put("mysql", samplePolicySpec({ maxConnections: 3 }), {}, terms);
  assert.equal(second.resource.revision, first.resource.revision);
  assert.notEqual(policyVersion(second.resource), policyVersion(first.resource));
});

test("a version is the same for the same policy, and fit for a header", async (t) => {
  const { policies } = createTestServices(t);
  const { resource } = await policies.put("mysql", samplePolicySpec(), {}, terms);
  assert.equal(policyVersion(resource), policyVersion(policies.get("mysql")));
  assert.match(policyVersion(resource), /^[A-Za-z0-9_-]{22}$/);
});

test("offenders are the kernel's, for a policy that exists", async (t) => {
  const { firewall, policies } = createTestServices(t);
  await assert.rejects(policies.offenders("mysql"), { code: "not-found" });
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  const offender = { source: "203.0.113.9", firstSeenAt: 1, lastSeenAt: 1, bannedUntil: null };
  firewall.setOffenders("mysql", [offender]);
  assert.deepEqual(await policies.offenders("mysql"), [{ ...offender, outcome: "refused" }]);
  firewall.failReads(new EnforcementDelayed("the lock is held"));
  await assert.rejects(policies.offenders("mysql"), { code: "not-ready", message: /the lock is held/ });
});

for (const [mode, ban, outcome] of [
  ["enforce", null, "refused"],
  ["enforce", { ...banDefaults, seconds: 60 }, "banned"],
  ["observe", null, "would-be-refused"],
  ["observe", { ...banDefaults, seconds: 60 }, "would-be-banned"],
] as const) {
  test(`offenders of a policy in mode ${mode} with${ban === null ? "out" : ""} a ban are ${outcome}`, async (t) => {
    const { firewall, policies } = createTestServices(t);
    await policies.put("mysql", samplePolicySpec({ mode, ban }), {}, terms);
    firewall.setOffenders("mysql", [{ source: "203.0.113.9", firstSeenAt: 1, lastSeenAt: 1, bannedUntil: null }]);
    assert.deepEqual(
      (await policies.offenders("mysql")).map((offender) => offender.outcome),
      [outcome],
    );
  });
}

test("after the kernel forgot its counts, sources that hold more than the limit are offenders too", async (t) => {
  const { firewall, connections, policies } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec({ maxConnections: 2 }), {}, terms);
  connections.open("203.0.113.9", 3306, 3);
  connections.open("203.0.113.8", 3306, 2);
  assert.deepEqual(await policies.offenders("mysql"), []);
  firewall.setCountsForgottenAt(1000);
  assert.deepEqual(await policies.offenders("mysql"), [
    { source: "203.0.113.9", firstSeenAt: 1000, lastSeenAt: 1000, bannedUntil: null, outcome: "would-be-refused" },
  ]);
});

test("the list is sorted by name", async (t) => {
  const { policies } = createTestServices(t);
  await policies.put("web", samplePolicySpec(), {}, terms);
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  assert.deepEqual(
    policies.list().map((policy) => policy.name),
    ["mysql", "web"],
  );
});
