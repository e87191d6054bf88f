import assert from "node:assert/strict";
import { test } from "node:test";
import { DomainError } from "../../src/domain/errors.ts";
import type { ConfirmationService } from "../../src/domain/services.ts";
import { samplePolicySpec } from "../support/samples.ts";
import { createTestServices, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();
const unsure = sampleTerms({ confirmWithin: 60 });

/** The one that waits. */
function only(confirmations: ConfirmationService): string {
  const [confirmation, ...others] = confirmations.list();
  assert.ok(confirmation !== undefined && others.length === 0, "one confirmation waits");
  return confirmation.id;
}

test("a change with confirmWithin is applied, and waits for its confirmation", async (t) => {
  const { firewall, clock, policies, confirmations } = createTestServices(t);
  assert.deepEqual([confirmations.list(), confirmations.nextDeadline()], [[], null]);
  const { resource: previous } = await policies.put("mysql", samplePolicySpec(), {}, terms);
  clock.advance(1_000);
  const { confirmation, changed } = await policies.put("mysql", samplePolicySpec({ maxConnections: 9 }), {}, unsure);
  assert.ok(confirmation !== null && changed);
  assert.match(confirmation.id, /^[\w-]{22}$/);
  const [createdAt, revertsAt] = [clock.now(), clock.now() + 60_000];
  assert.deepEqual(confirmation, {
    id: confirmation.id,
    policy: "mysql",
    previous,
    actor: "ci",
    createdAt,
    revertsAt,
    revertedAt: null,
  });
  assert.deepEqual([confirmations.list(), confirmations.nextDeadline()], [[confirmation], revertsAt]);
  assert.equal(firewall.applied.policies[0]?.maxConnections, 9);
});

test("a change that is confirmed stays", async (t) => {
  const { clock, policies, confirmations } = createTestServices(t);
  const { confirmation } = await policies.create("mysql", samplePolicySpec(), unsure);
  clock.advance(59_999);
  assert.deepEqual(await confirmations.confirm(only(confirmations), sampleTerms()), confirmation);
  assert.deepEqual([confirmations.list(), confirmations.nextDeadline()], [[], null]);
  clock.advance(1);
  await confirmations.revertDue(clock.now());
  assert.equal(policies.list().length, 1);
  await assert.rejects(confirmations.confirm(confirmation?.id ?? "", sampleTerms()), { code: "not-found" });
});

test("nothing is reverted before its time, and everything at it", async (t) => {
  const { store, firewall, clock, enforcer, policies, confirmations } = createTestServices(t);
  const { resource: previous } = await policies.put("mysql", samplePolicySpec(), {}, terms);
  await policies.put("mysql", samplePolicySpec({ maxConnections: 9 }), {}, unsure);
  await policies.create("web", samplePolicySpec({ ports: [80] }), unsure);
  const [revision, passes] = [store.revision(), enforcer.requests.length];
  clock.advance(59_999);
  await confirmations.revertDue(clock.now());
  assert.deepEqual([store.revision(), enforcer.requests.length], [revision, passes]);
  clock.advance(1);
  await confirmations.revertDue(clock.now());
  const restored = { ...previous, revision: 3, updatedAt: clock.now() };
  assert.deepEqual(policies.list(), [restored]);
  assert.deepEqual(firewall.applied.policies, [restored]);
  assert.deepEqual([enforcer.requests.length, enforcer.requests.at(-1)], [passes + 1, "rules"]);
  assert.deepEqual([confirmations.list(), confirmations.nextDeadline()], [[], null]);
});

test("a removal that is not confirmed is undone too, and so is an edit", async (t) => {
  const { clock, policies, confirmations } = createTestServices(t);
  const { resource: mysql } = await policies.put("mysql", samplePolicySpec(), {}, terms);
  const { resource: web } = await policies.put("web", samplePolicySpec({ ports: [80] }), {}, terms);
  const { confirmation } = await policies.remove("mysql", {}, unsure);
  assert.deepEqual([confirmation?.previous, policies.list().length], [mysql, 1]);
  await policies.edit("web", (current) => ({ ...current, mode: "off" }), {}, unsure);
  clock.advance(60_000);
  await confirmations.revertDue(clock.now());
  assert.deepEqual(policies.list(), [
    { ...mysql, revision: 2, updatedAt: clock.now() },
    { ...web, revision: 3, updatedAt: clock.now() },
  ]);
});

test("a policy that was deleted meanwhile comes back all the same", async (t) => {
  const { store, clock, policies, confirmations } = createTestServices(t);
  const { resource } = await policies.put("mysql", samplePolicySpec(), {}, terms);
  await policies.put("mysql", samplePolicySpec({ maxConnections: 9 }), {}, unsure);
  await store.transact((change) => change.deletePolicy("mysql"));
  clock.advance(60_000);
  await confirmations.revertDue(clock.now());
  assert.deepEqual(policies.list(), [{ ...resource, revision: 2, updatedAt: clock.now() }]);
});

test("a change can be reverted at once, and then neither confirmed nor reverted again", async (t) => {
  const { clock, policies, confirmations } = createTestServices(t);
  const { confirmation } = await policies.create("mysql", samplePolicySpec(), unsure);
  const id = only(confirmations);
  const reverted = await confirmations.revert(id, sampleTerms());
  assert.deepEqual(reverted, { confirmation, resource: null, enforced: true });
  assert.deepEqual([policies.list(), confirmations.list()], [[], []]);
  const gone = { code: "gone", message: new RegExp(`undone at ${new Date(clock.now()).toISOString()}`) };
  await assert.rejects(confirmations.confirm(id, sampleTerms()), gone);
  await assert.rejects(confirmations.revert(id, sampleTerms()), gone);
});

test("after the deadline a change can't be confirmed, whether it is reverted yet or not", async (t) => {
  const { clock, policies, confirmations } = createTestServices(t);
  await policies.create("mysql", samplePolicySpec(), unsure);
  const id = only(confirmations);
  clock.advance(60_000);
  await assert.rejects(confirmations.confirm(id, sampleTerms()), { code: "gone", message: /The time to confirm .* was over at/ });
  assert.equal(confirmations.nextDeadline(), clock.now());
  await confirmations.revertDue(clock.now());
  await assert.rejects(confirmations.confirm(id, sampleTerms()), { code: "gone", message: /was undone at/ });
  await assert.rejects(confirmations.confirm("another", sampleTerms()), { code: "not-found" });
  await assert.rejects(confirmations.revert("another", sampleTerms()), { code: "not-found" });
});

test("reverted changes are forgotten after a day", async (t) => {
  const { store, clock, policies, confirmations } = createTestServices(t);
  await policies.create("mysql", samplePolicySpec(), unsure);
  const id = only(confirmations);
  await confirmations.revert(id, sampleTerms());
  clock.advance(86_399_999);
  await policies.create("mysql", samplePolicySpec(), unsure);
  await assert.rejects(confirmations.confirm(id, sampleTerms()), { code: "gone" });
  clock.advance(60_000);
  await confirmations.revertDue(clock.now());
  await assert.rejects(confirmations.confirm(id, sampleTerms()), { code: "not-found" });
  assert.equal(store.confirmations().length, 1);
});

test("a second write to a policy whose change waits is refused, and told what waits", async (t) => {
  const { clock, policies, confirmations } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec(), {}, unsure);
  const id = only(confirmations);
  const message = new RegExp(
    `by ci waits for its confirmation ${id} and is undone at ${new Date(clock.now() + 60_000).toISOString()}`,
  );
  const refused = { code: "unconfirmed", message };
  const other = samplePolicySpec({ maxConnections: 9 });
  for (const again of [terms, unsure]) {
    await assert.rejects(policies.put("mysql", other, {}, again), refused);
    await assert.rejects(policies.put("mysql", samplePolicySpec(), {}, again), refused);
    await assert.rejects(
      policies.edit("mysql", () => other, {}, again),
      refused,
    );
    await assert.rejects(policies.remove("mysql", {}, again), refused);
    await assert.rejects(policies.foresee.put("mysql", other, {}, again), refused);
    await assert.rejects(
      policies.foresee.edit("mysql", () => other, {}, again),
      refused,
    );
    await assert.rejects(policies.foresee.remove("mysql", {}, again), refused);
  }
  await policies.put("web", samplePolicySpec({ ports: [80] }), {}, unsure);
  await confirmations.confirm(id, sampleTerms());
  await policies.put("mysql", other, {}, unsure);
  assert.equal(confirmations.list().length, 2);
});

test("of two changes at the same time that want a confirmation one is refused", async (t) => {
  const { policies, confirmations } = createTestServices(t);
  const outcomes = await Promise.allSettled(
    [7, 8].map((maxConnections) => policies.put("mysql", samplePolicySpec({ maxConnections }), {}, unsure)),
  );
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.status === "rejected" ? outcome.reason.code : "done")),
    ["done", "unconfirmed"],
  );
  assert.equal(confirmations.list().length, 1);
});

test("a change that changes nothing waits for nothing, and neither does a rehearsal", async (t) => {
  const { store, policies, confirmations } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  const { confirmation, changed } = await policies.put("mysql", samplePolicySpec(), {}, unsure);
  assert.deepEqual([confirmation, changed], [null, false]);
  await policies.foresee.put("mysql", samplePolicySpec({ maxConnections: 9 }), {}, unsure);
  assert.deepEqual([confirmations.list(), store.revision()], [[], 1]);
});

for (const confirmWithin of [9, 3601, 10.5, 0, -60, 1e9, Number.NaN]) {
  test(`confirmWithin of ${confirmWithin} seconds is refused`, async (t) => {
    const { policies } = createTestServices(t);
    const refused = { code: "invalid-input", message: /confirmWithin takes a whole number of seconds from 10 to 3600/ };
    await assert.rejects(policies.create("mysql", samplePolicySpec(), sampleTerms({ confirmWithin })), refused);
    await assert.rejects(policies.remove("mysql", {}, sampleTerms({ confirmWithin })), refused);
  });
}

test("a change that the kernel refuses after all leaves no confirmation", async (t) => {
  const { store, enforcer, policies } = createTestServices(t);
  enforcer.refuse(new DomainError("kernel-refused", "iptables-restore: line 3 failed"));
  await assert.rejects(policies.create("mysql", samplePolicySpec(), unsure), { code: "kernel-refused" });
  assert.deepEqual([store.policies(), store.confirmations()], [[], []]);
});

test("a revert holds even when the kernel refuses or can't take it now", async (t) => {
  const { enforcer, clock, policies, confirmations } = createTestServices(t);
  await policies.create("mysql", samplePolicySpec(), unsure);
  await policies.create("web", samplePolicySpec({ ports: [80] }), unsure);
  enforcer.refuse(new DomainError("kernel-refused", "iptables-restore: line 3 failed"));
  const [{ id } = { id: "" }] = confirmations.list();
  assert.equal((await confirmations.revert(id, sampleTerms())).enforced, false);
  enforcer.delay("the lock is held");
  clock.advance(60_000);
  await confirmations.revertDue(clock.now());
  assert.deepEqual(policies.list(), []);
});
