import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createOverlay } from "../../src/domain/overlay.ts";
import type { DesiredState, StateChange } from "../../src/domain/ports.ts";
import { sampleConfirmation, sampleKernelBan, sampleOperatorBan, samplePolicy, sampleToken } from "../support/samples.ts";
import { createTestStore } from "../support/test-store.ts";

const steps: Readonly<Record<string, (change: StateChange, key: string, time: number) => unknown>> = {
  putPolicy: (change, name, updatedAt) => change.putPolicy(samplePolicy({ name, updatedAt })),
  deletePolicy: (change, name) => change.deletePolicy(name),
  putBan: (change, address, since) => change.putOperatorBan(sampleOperatorBan({ address, since })),
  deleteBan: (change, address) => change.deleteOperatorBan(address),
  putKernelBan: (change, address, since) => change.putKernelBan(sampleKernelBan({ address, since })),
  deleteKernelBan: (change, address) => change.deleteKernelBan(sampleKernelBan().home, address),
  putLift: (change, address) => change.putLift(address),
  deleteLift: (change, address) => change.deleteLift(address),
  putGrace: (change, address, until) => change.putGrace({ address, until }),
  deleteGrace: (change, address) => change.deleteGrace(address),
  putConfirmation: (change, id, revertsAt) => change.putConfirmation(sampleConfirmation({ id, revertsAt })),
  deleteConfirmation: (change, id) => change.deleteConfirmation(id),
  putToken: (change, name, createdAt) => change.putToken(sampleToken(name, { name, createdAt })),
  deleteToken: (change, name) => change.deleteToken(name),
};

const keys = ["a", "b", "c", "d"] as const;
const step = fc.record({ run: fc.constantFrom(...Object.values(steps)), key: fc.constantFrom(...keys), time: fc.nat() });

/** All that is read, in its order. */
function contentOf(state: DesiredState) {
  return {
    revision: state.revision(),
    lists: [state.policies(), state.operatorBans(), state.kernelBans(), state.lifts(), state.graces(), state.confirmations()],
    tokens: state.tokens(),
    found: keys.map((key) => [
      state.policy(key),
      state.operatorBan(key),
      state.grace(key),
      state.confirmation(key),
      state.token(key),
    ]),
  };
}

test("an overlay shows what a transaction leaves, in the same order, and leaves the store alone", async (t) => {
  const store = createTestStore(t);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (changes) => {
      const before = contentOf(store);
      const overlay = createOverlay(store);
      const foreseen = changes.map(({ run, key, time }) => run(overlay, key, time));
      const content = contentOf(overlay);
      assert.deepEqual(contentOf(store), before);
      const done = await store.transact((change) => changes.map(({ run, key, time }) => run(change, key, time)));
      assert.deepEqual(foreseen, done);
      assert.deepEqual(content, contentOf(store));
    }),
    { numRuns: 200 },
  );
});
