import assert from "node:assert/strict";
import { test } from "node:test";
import { createExclusive } from "../../src/domain/exclusive.ts";

test("tasks run one after another in the order in which they came, also after one that failed", async () => {
  const exclusive = createExclusive();
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = exclusive(async () => {
    log.push("first begins");
    await gate.promise;
    log.push("first fails");
    throw new Error("failed");
  });
  const second = exclusive(async () => {
    log.push("second");
    return 2;
  });
  const third = exclusive(async () => log.push("third"));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(log, ["first begins"]);
  gate.resolve();
  await assert.rejects(first, /failed/);
  assert.equal(await second, 2);
  await third;
  assert.deepEqual(log, ["first begins", "first fails", "second", "third"]);
});
