import assert from "node:assert/strict";
import { test } from "node:test";
import { createAuditService } from "../../src/domain/audit-service.ts";
import { DomainError } from "../../src/domain/errors.ts";
import { createMemoryStore } from "../enforcement/memory-store.ts";
import { samplePolicySpec } from "../support/samples.ts";
import { createTestClock } from "../support/test-clock.ts";
import { createTestServices, insistingTerms, sampleBanRequest, sampleTerms } from "../support/test-services.ts";

const all = { limit: 1000 };
const refusal = {
  ...({ action: "authenticate", actor: null, address: "203.0.113.7", requestId: "r", resource: null } as const),
  ...{ problem: "unauthorized", detail: "The token is not known." },
};

/** What was noted, oldest first, without what is the same for all. */
async function notes(services: ReturnType<typeof createTestServices>) {
  const entries = await services.audit.list({}, all);
  return entries.toReversed().map(({ action, resource, outcome, problem }) => [action, resource, outcome, problem]);
}

test("each change of a policy is noted with who made it, what stood there, and what stands there", async (t) => {
  const { policies, audit, clock } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec(), {}, sampleTerms());
  clock.advance(1_000);
  await policies.edit("mysql", (spec) => ({ ...spec, maxConnections: 9 }), {}, sampleTerms({ confirmWithin: 60 }));
  const [edited, created] = await audit.list({}, all);
  assert.deepEqual(created, {
    id: 1,
    at: clock.now() - 1_000,
    ...{ actor: "ci", address: "172.16.0.99", requestId: "request-1", action: "policy.put", resource: "policies/mysql" },
    ...{ outcome: "changed", problem: null, detail: null, revisionBefore: 0, revisionAfter: 1 },
    before: null,
    after: { ...samplePolicySpec(), revision: 1 },
  });
  assert.partialDeepStrictEqual(edited, { before: { maxConnections: 2, revision: 1 }, revisionBefore: 1, revisionAfter: 3 });
  assert.partialDeepStrictEqual(edited?.after, {
    maxConnections: 9,
    revision: 2,
    confirmation: { revertsAt: new Date(clock.now() + 60_000).toISOString() },
  });
});

test("confirming, undoing and the revert by itself are noted for the policy", async (t) => {
  const services = createTestServices(t);
  const { policies, confirmations, audit, clock } = services;
  const change = async (maxConnections: number) => {
    const spec = samplePolicySpec({ maxConnections });
    const { confirmation } = await policies.put("mysql", spec, {}, sampleTerms({ confirmWithin: 60 }));
    return confirmation?.id ?? "";
  };
  await confirmations.confirm(await change(2), sampleTerms());
  await confirmations.revert(await change(3), sampleTerms({ caller: { actor: "oncall" } }));
  await change(4);
  clock.advance(60_000);
  await confirmations.revertDue(clock.now());
  const entries = await audit.list({ resource: "policies/mysql" }, all);
  assert.deepEqual(
    entries.toReversed().map(({ action, actor }) => [action, actor]),
    [
      ["policy.put", "ci"],
      ["confirmation.confirm", "ci"],
      ["policy.put", "ci"],
      ["confirmation.revert", "oncall"],
      ["policy.put", "ci"],
      ["confirmation.revert", "service"],
    ],
  );
  assert.partialDeepStrictEqual(entries[0], {
    address: null,
    requestId: null,
    before: { maxConnections: 4 },
    after: { maxConnections: 2 },
  });
});

test("bans are noted with all their causes, and a batch with its counts and addresses", async (t) => {
  const services = createTestServices(t);
  const { bans, audit, firewall, kernelBan } = services;
  firewall.setPolicyBans([kernelBan("203.0.113.9", "mysql")]);
  await bans.put("203.0.113.9", sampleBanRequest(), {}, sampleTerms());
  await bans.remove("203.0.113.9", {}, sampleTerms(), { graceSeconds: 60 });
  await bans.batch({ put: [{ address: "203.0.113.10", ...sampleBanRequest() }], delete: ["203.0.113.11"] }, sampleTerms());
  const [batch, removed, put] = await audit.list({}, all);
  assert.partialDeepStrictEqual(put, { action: "ban.put", resource: "bans/203.0.113.9", before: { causes: [{ by: "policy" }] } });
  assert.partialDeepStrictEqual(put?.after, { causes: [{ by: "operator", reason: "scanner" }, { by: "policy" }] });
  assert.partialDeepStrictEqual(removed, { action: "ban.delete", after: { graceUntil: "2026-11-22T08:01:00.000Z" } });
  assert.partialDeepStrictEqual(removed?.before, { causes: [{ by: "operator" }, { by: "policy" }] });
  assert.partialDeepStrictEqual(batch, { action: "ban.batch", resource: "bans" });
  assert.deepEqual(batch?.after, {
    created: 1,
    updated: 0,
    deleted: 0,
    unchanged: 1,
    put: ["203.0.113.10"],
    delete: ["203.0.113.11"],
  });
});

test("of a batch, a hundred addresses of either list are noted", async (t) => {
  const { bans, audit, firewall } = createTestServices(t);
  firewall.setBanRoom({ capacity: 1_000 });
  const put = Array.from({ length: 150 }, (_, index) => ({ address: `203.0.113.${index}`, ...sampleBanRequest() }));
  await bans.batch({ put, delete: [] }, sampleTerms());
  const [entry] = await audit.list({}, all);
  assert.partialDeepStrictEqual(entry?.after, { created: 150 });
  assert.deepEqual(
    entry?.after?.["put"],
    put.slice(0, 100).map(({ address }) => address),
  );
});

test("what changes nothing, a rehearsal, bad input and a lost race leave no trace", async (t) => {
  const services = createTestServices(t);
  const { policies, bans, tokens, audit } = services;
  await policies.put("mysql", samplePolicySpec(), {}, sampleTerms());
  await bans.put("203.0.113.9", sampleBanRequest(), {}, sampleTerms());
  const before = await audit.list({}, all);
  await policies.put("mysql", samplePolicySpec(), {}, sampleTerms());
  await bans.put("203.0.113.9", sampleBanRequest(), {}, sampleTerms());
  await bans.batch({ put: [], delete: ["203.0.113.77"] }, sampleTerms());
  await policies.foresee.remove("mysql", {}, sampleTerms());
  await bans.foresee.put("203.0.113.10", sampleBanRequest(), {}, sampleTerms());
  tokens.foresee.create({ name: "x", scopes: ["read"], expiresAt: null });
  await assert.rejects(policies.foresee.remove("mysql", {}, sampleTerms({ allowLockout: true })), { code: "insufficient-scope" });
  await assert.rejects(policies.put("mysql", samplePolicySpec({ ports: [0] }), {}, sampleTerms()), { code: "invalid-input" });
  await assert.rejects(policies.remove("mysql", { ifMatch: ["old"] }, sampleTerms()), { code: "precondition-failed" });
  await assert.rejects(bans.remove("203.0.113.10", {}, sampleTerms()), { code: "not-found" });
  assert.deepEqual(await audit.list({}, all), before);
});

test("a refusal by the guard, the kernel, the scope or the room is noted, and why", async (t) => {
  const services = createTestServices(t);
  const { policies, bans, firewall, audit } = services;
  await assert.rejects(bans.put("172.16.0.99", sampleBanRequest(), {}, sampleTerms()), { code: "lockout" });
  await assert.rejects(bans.remove("203.0.113.9", {}, sampleTerms({ allowLockout: true })), { code: "insufficient-scope" });
  await assert.rejects(policies.put("p", samplePolicySpec(), {}, sampleTerms({ allowLockout: true })), {
    code: "insufficient-scope",
  });
  firewall.failChecks(new DomainError("kernel-refused", "iptables-restore: line 3 failed"));
  await assert.rejects(policies.put("mysql", samplePolicySpec(), {}, sampleTerms()), { code: "kernel-refused" });
  firewall.setBanRoom({ capacity: 0 });
  const batch = { put: [{ address: "203.0.113.9", ...sampleBanRequest() }], delete: [] };
  await assert.rejects(bans.batch(batch, sampleTerms()), { code: "no-room" });
  assert.deepEqual(await notes(services), [
    ["ban.put", "bans/172.16.0.99", "refused", "lockout"],
    ["ban.delete", "bans/203.0.113.9", "refused", "insufficient-scope"],
    ["policy.put", "policies/p", "refused", "insufficient-scope"],
    ["policy.put", "policies/mysql", "refused", "kernel-refused"],
    ["ban.batch", "bans", "refused", "no-room"],
  ]);
  const [, kernel] = await audit.list({}, all);
  assert.partialDeepStrictEqual(kernel, { detail: "iptables-restore: line 3 failed", actor: "ci", requestId: "request-1" });
});

test("a change that the kernel refuses after all is noted twice: stored, and taken back", async (t) => {
  const services = createTestServices(t);
  services.enforcer.refuse(new DomainError("kernel-refused", "no such module"));
  await assert.rejects(services.policies.put("mysql", samplePolicySpec(), {}, sampleTerms()), { code: "kernel-refused" });
  assert.deepEqual(await notes(services), [
    ["policy.put", "policies/mysql", "changed", null],
    ["policy.put", "policies/mysql", "taken-back", "kernel-refused"],
  ]);
  const [undone] = await services.audit.list({}, all);
  assert.partialDeepStrictEqual(undone, { before: { maxConnections: 2 }, after: null, detail: "no such module" });
});

test("tokens are noted without their secrets or the digests of these", async (t) => {
  const services = createTestServices(t);
  const { token, secret } = await services.tokens.create({ name: "x", scopes: ["read"], expiresAt: null }, insistingTerms());
  await services.tokens.remove("x", insistingTerms());
  assert.deepEqual(await notes(services), [
    ["token.create", "tokens/x", "changed", null],
    ["token.delete", "tokens/x", "changed", null],
  ]);
  const text = JSON.stringify(await services.audit.list({}, all));
  assert.ok(!text.includes(secret) && !text.includes(token.digest));
  assert.match(text, /"before":\{"scopes":\["read"\],"expiresAt":null\}/);
});

test("sixty refusals a minute are noted, of callers that are known and of others", async (t) => {
  const services = createTestServices(t);
  const { audit, clock } = services;
  for (let count = 0; count < 100; count += 1) audit.refused(refusal);
  audit.refused({ ...refusal, actor: "ci" });
  assert.equal((await audit.list({}, all)).length, 61);
  clock.advance(60_000);
  audit.refused(refusal);
  assert.equal((await audit.list({}, all)).length, 62);
});

test("a refusal that can't be stored is told to whoever wants to know, and to nobody else", async () => {
  const store = createMemoryStore();
  store.failTransactions(new Error("the disk is full"));
  const losses: unknown[] = [];
  const audit = createAuditService({ store, clock: createTestClock(), onLoss: (error) => losses.push(error) });
  audit.refused(refusal);
  await audit.list({}, all);
  assert.deepEqual(losses.map(String), ["Error: the disk is full"]);
});

test("a detail has five hundred characters at most", async (t) => {
  const { audit } = createTestServices(t);
  audit.refused({ ...refusal, detail: "x".repeat(10_000) });
  const [entry] = await audit.list({}, all);
  assert.equal(entry?.detail, "x".repeat(500));
});
