import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { samplePolicySpec } from "../support/samples.ts";
import { createTestServices, sampleTerms } from "../support/test-services.ts";
import { temporaryDirectory } from "../support/test-store.ts";

const terms = sampleTerms();
const unsure = sampleTerms({ confirmWithin: 60 });

/** A policy of limit 9 instead of 2 that waits for its confirmation, in a store that is closed again. */
async function leaveUnconfirmed(t: TestContext) {
  const stateDirectory = temporaryDirectory(t);
  const { store, policies } = createTestServices(t, { stateDirectory });
  const { resource: previous } = await policies.put("mysql", samplePolicySpec({ exempt: ["10.0.0.0/8"] }), {}, terms);
  const { confirmation, resource } = await policies.put("mysql", samplePolicySpec({ maxConnections: 9 }), {}, unsure);
  store.close();
  assert.ok(confirmation !== null);
  return { stateDirectory, previous, confirmation, resource };
}

test("a deadline holds over a restart: before it nothing happens, at it the earlier content comes back", async (t) => {
  const { stateDirectory, previous, confirmation, resource } = await leaveUnconfirmed(t);
  const { firewall, clock, policies, confirmations } = createTestServices(t, { stateDirectory });
  assert.deepEqual([confirmations.list(), confirmations.nextDeadline()], [[confirmation], confirmation.revertsAt]);
  await confirmations.revertDue(clock.now());
  assert.deepEqual(policies.get("mysql"), resource);
  await assert.rejects(policies.remove("mysql", {}, terms), { code: "unconfirmed" });
  clock.advance(60_000);
  await confirmations.revertDue(clock.now());
  const restored = { ...previous, revision: 3, updatedAt: clock.now() };
  assert.deepEqual(policies.get("mysql"), restored);
  assert.deepEqual(firewall.applied.policies, [restored]);
});

test("what fell due while nothing ran is reverted at once, and can't be confirmed before that either", async (t) => {
  const { stateDirectory, previous, confirmation } = await leaveUnconfirmed(t);
  const { store, clock, policies, confirmations } = createTestServices(t, { stateDirectory });
  clock.advance(3_600_000);
  await assert.rejects(confirmations.confirm(confirmation.id, sampleTerms()), { code: "gone" });
  await confirmations.revertDue(clock.now());
  assert.deepEqual(policies.get("mysql"), { ...previous, revision: 3, updatedAt: clock.now() });
  store.close();
  const later = createTestServices(t, { stateDirectory });
  await assert.rejects(later.confirmations.confirm(confirmation.id, sampleTerms()), { code: "gone", message: /was undone at/ });
  assert.deepEqual([later.confirmations.list(), later.policies.get("mysql").maxConnections], [[], 2]);
});

test("a confirmation holds over a restart", async (t) => {
  const { stateDirectory, confirmation, resource } = await leaveUnconfirmed(t);
  const { store, confirmations } = createTestServices(t, { stateDirectory });
  await confirmations.confirm(confirmation.id, sampleTerms());
  store.close();
  const later = createTestServices(t, { stateDirectory });
  later.clock.advance(3_600_000);
  await later.confirmations.revertDue(later.clock.now());
  assert.deepEqual(later.policies.get("mysql"), resource);
});
