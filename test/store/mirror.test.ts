import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { DesiredState, StateChange } from "../../src/domain/ports.ts";
import { openStore } from "../../src/store/store.ts";
import { sampleConfirmation, sampleKernelBan, sampleOperatorBan, samplePolicy, sampleToken } from "../support/samples.ts";
import { temporaryDirectory } from "../support/test-store.ts";

const operation = fc.record({
  kind: fc.constantFrom(
    ...(["putPolicy", "deletePolicy", "putBan", "deleteBan", "putKernelBan", "deleteKernelBan"] as const),
    ...([
      "putLift",
      "deleteLift",
      "putGrace",
      "deleteGrace",
      "putConfirmation",
      "deleteConfirmation",
      "putToken",
      "deleteToken",
    ] as const),
  ),
  key: fc.constantFrom("a", "b", "c"),
  time: fc.nat(),
});
const work = fc.record({ operations: fc.array(operation, { maxLength: 5 }), fails: fc.boolean() });

type Operation = typeof operation extends fc.Arbitrary<infer Value> ? Value : never;

const operations: Readonly<Record<Operation["kind"], (change: StateChange, key: string, time: number) => unknown>> = {
  putPolicy: (change, name, updatedAt) => change.putPolicy(samplePolicy({ name, updatedAt })),
  deletePolicy: (change, name) => change.deletePolicy(name),
  putBan: (change, address, since) => change.putOperatorBan(sampleOperatorBan({ address, since })),
  deleteBan: (change, address) => change.deleteOperatorBan(address),
  putKernelBan: (change, address, since) => change.putKernelBan(sampleKernelBan({ home: `home-${since % 2}`, address, since })),
  deleteKernelBan: (change, address, time) => change.deleteKernelBan(`home-${time % 2}`, address),
  putLift: (change, address) => change.putLift(address),
  deleteLift: (change, address) => change.deleteLift(address),
  putGrace: (change, address, until) => change.putGrace({ address, until }),
  deleteGrace: (change, address) => change.deleteGrace(address),
  putConfirmation: (change, id, revertsAt) => change.putConfirmation(sampleConfirmation({ id, revertsAt })),
  deleteConfirmation: (change, id) => change.deleteConfirmation(id),
  putToken: (change, name, createdAt) => change.putToken(sampleToken(name, { name, createdAt })),
  deleteToken: (change, name) => change.deleteToken(name),
};

/** All that a store holds, in an order of its own. */
function contentOf(store: DesiredState) {
  const sorted = <Entry>(entries: readonly Entry[]) => entries.map((entry) => JSON.stringify(entry)).sort();
  return {
    revision: store.revision(),
    policies: store.policies(),
    operatorBans: sorted(store.operatorBans()),
    kernelBans: sorted(store.kernelBans()),
    lifts: sorted(store.lifts()),
    graces: sorted(store.graces()),
    confirmations: store.confirmations(),
    tokens: store.tokens(),
    found: ["a", "b", "c"].map((key) => [
      store.policy(key),
      store.operatorBan(key),
      store.grace(key),
      store.confirmation(key),
      store.token(key),
    ]),
  };
}

test("what is read from memory is what the database holds, whatever was done and undone", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(work, { maxLength: 4 }), { maxLength: 4 }), async (batches) => {
      const stateDirectory = temporaryDirectory(t);
      const store = openStore({ stateDirectory });
      for (const works of batches) {
        await Promise.allSettled(
          works.map(({ operations: steps, fails }) =>
            store.transact((change) => {
              for (const { kind, key, time } of steps) operations[kind](change, key, time);
              if (fails) throw new Error("undone");
            }),
          ),
        );
      }
      const before = contentOf(store);
      store.close();
      const reopened = openStore({ stateDirectory });
      const after = contentOf(reopened);
      reopened.close();
      assert.deepEqual(after, before);
    }),
    { numRuns: 40 },
  );
});
