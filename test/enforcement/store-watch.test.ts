import assert from "node:assert/strict";
import { test } from "node:test";
import { createStoreWatch } from "../../src/enforcement/store-watch.ts";
import { createTestClock } from "../support/test-clock.ts";

function createScene() {
  const clock = createTestClock();
  const logged: string[] = [];
  const log = {
    info: (_details: object, message: string) => void logged.push(message),
    warn: (details: object, message: string) => void logged.push(`${message}: ${JSON.stringify(details)}`),
  };
  let failure: string | null = null;
  let probes = 0;
  const probe = async (): Promise<void> => {
    probes += 1;
    if (failure !== null) throw new Error(failure);
  };
  const watch = createStoreWatch({ store: { probe, failure: () => failure }, clock, log });
  return {
    watch,
    logged,
    probes: () => probes,
    fail: (reason: string | null) => {
      failure = reason;
    },
    pass: async (seconds: number) => {
      for (let passed = 0; passed < seconds; passed += 1) {
        clock.advance(1000);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

test("the store is looked at every second, and a failure and its end are told once", async () => {
  const { watch, logged, probes, fail, pass } = createScene();
  watch.start();
  await pass(3);
  assert.deepEqual([probes(), logged], [3, []]);
  fail("the disk is full");
  await pass(5);
  fail(null);
  await pass(5);
  assert.deepEqual(logged, [
    'nothing can be stored; the kernel keeps what it has: {"reason":"the disk is full"}',
    "the store can be written again",
  ]);
});

test("after a stop nobody looks any more", async () => {
  const { watch, probes, pass } = createScene();
  watch.start();
  await watch.stop();
  const before = probes();
  await pass(3);
  assert.equal(probes(), before);
});
