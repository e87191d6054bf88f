import assert from "node:assert/strict";
import { test } from "node:test";
import { DomainError } from "../../src/domain/errors.ts";
import { policyVersion } from "../../src/domain/policy-service.ts";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { samplePolicySpec } from "../support/samples.ts";
import { createTestServices, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();

test("a rehearsal answers what the write would, with the plan for it, and does nothing", async (t) => {
  const { store, firewall, enforcer, clock, policies } = createTestServices(t);
  const foreseen = await policies.foresee.create("mysql", samplePolicySpec(), terms);
  const resource = { ...samplePolicySpec(), name: "mysql", revision: 1, createdAt: clock.now(), updatedAt: clock.now() };
  assert.deepEqual(foreseen, {
    changed: true,
    created: true,
    result: resource,
    plan: { ipv4: ["-A CLD-mysql 1"], ipv6: ["-A CLD-mysql 1"], recent: [], ipset: [] },
    impact: { sources: [] },
    warnings: [],
  });
  assert.deepEqual([store.revision(), store.policies(), enforcer.requests, firewall.passes], [0, [], [], []]);
  assert.deepEqual(
    [firewall.checks, firewall.plans].map((asked) => asked.map((desired) => desired.policies)),
    [[[resource]], [[resource]]],
  );
});

test("rehearsals of a put, an edit and a removal start from what is there", async (t) => {
  const { store, clock, policies } = createTestServices(t);
  const { resource } = await policies.put("mysql", samplePolicySpec(), {}, terms);
  await policies.put("web", samplePolicySpec({ ports: [80] }), {}, terms);
  clock.advance(5_000);
  const put = await policies.foresee.put("mysql", samplePolicySpec({ maxConnections: 9 }), {}, terms);
  assert.deepEqual([put.changed, put.created, put.plan.ipv4], [true, false, ["-A CLD-mysql 2", "-A CLD-web 1"]]);
  assert.deepEqual(put.result, { ...resource, maxConnections: 9, revision: 2, updatedAt: clock.now() });
  const edit = await policies.foresee.edit("mysql", (current) => ({ ...current, maxConnections: 9 }), {}, terms);
  assert.deepEqual(edit, put);
  const same = await policies.foresee.put("mysql", samplePolicySpec(), {}, terms);
  assert.deepEqual([same.changed, same.created, same.result], [false, false, resource]);
  const removal = await policies.foresee.remove("mysql", {}, terms);
  assert.deepEqual([removal.changed, removal.created, removal.result, removal.plan.ipv4], [true, false, null, ["-A CLD-web 1"]]);
  assert.deepEqual([store.revision(), store.policies().length], [2, 2]);
});

test("a rehearsal refuses what the write would refuse", async (t) => {
  const { firewall, policies } = createTestServices(t);
  const { resource } = await policies.put("mysql", samplePolicySpec(), {}, terms);
  const { foresee } = policies;
  const other = samplePolicySpec({ maxConnections: 9 });
  await assert.rejects(foresee.create("mysql", other, terms), { code: "already-exists" });
  await assert.rejects(foresee.create("No", other, terms), { code: "invalid-input" });
  await assert.rejects(foresee.put("mysql", samplePolicySpec({ ports: [] }), {}, terms), { code: "invalid-input" });
  await assert.rejects(foresee.put("mysql", other, { ifNoneMatch: "*" }, terms), { code: "precondition-failed" });
  await assert.rejects(
    foresee.edit("web", (current) => current, {}, terms),
    { code: "not-found" },
  );
  await assert.rejects(foresee.remove("mysql", { ifMatch: ["another"] }, terms), { code: "precondition-failed" });
  await assert.rejects(foresee.remove("web", {}, terms), { code: "not-found" });
  await assert.rejects(foresee.put("mysql", other, {}, sampleTerms({ confirmWithin: 9 })), { code: "invalid-input" });
  await foresee.remove("mysql", { ifMatch: [policyVersion(resource)] }, terms);
  firewall.failChecks(new DomainError("kernel-refused", "iptables-restore: line 3 failed"));
  await assert.rejects(foresee.put("mysql", other, {}, terms), { code: "kernel-refused", message: /line 3/ });
});

test("while the kernel can't be read there is no foresight", async (t) => {
  const { firewall, connections, policies } = createTestServices(t);
  const notReady = { code: "not-ready", message: /the lock is held/ };
  firewall.failReads(new EnforcementDelayed("the lock is held"));
  await assert.rejects(policies.foresee.put("mysql", samplePolicySpec(), {}, terms), notReady);
  firewall.failReads(undefined);
  connections.fail(new EnforcementDelayed("the lock is held"));
  await assert.rejects(policies.foresee.put("mysql", samplePolicySpec(), {}, terms), notReady);
});

test("a kernel that is not in step is a warning", async (t) => {
  const { enforcer, policies } = createTestServices(t);
  enforcer.delay("another app holds the xtables lock");
  const { warnings } = await policies.foresee.put("mysql", samplePolicySpec(), {}, terms);
  assert.deepEqual(warnings, [
    "The kernel is not in step now (another app holds the xtables lock): the write would be stored, and reach the kernel once that is over.",
  ]);
});
