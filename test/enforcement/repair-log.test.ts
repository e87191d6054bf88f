import assert from "node:assert/strict";
import { test } from "node:test";
import { createRepairLog } from "../../src/enforcement/repair-log.ts";

const report = { kernelBans: [], imprecise: false, nextEnd: null };

test("repairs are counted, and the latest twenty kept, the newest first", () => {
  const log = createRepairLog();
  assert.deepEqual([log.count(), log.latest()], [0, []]);
  for (let n = 1; n <= 25; n += 1) log.note({ ...report, writes: n, found: [`chain ${n} missing`] }, n * 1000);
  assert.equal(log.count(), 25);
  assert.deepEqual(
    log.latest().map(({ at, writes }) => [at, writes]),
    Array.from({ length: 20 }, (_, index) => [(25 - index) * 1000, 25 - index]),
  );
});

test("of what one repair found the first twenty are kept", () => {
  const log = createRepairLog();
  log.note({ ...report, writes: 90, found: Array.from({ length: 90 }, (_, index) => `${index}`) }, 1000);
  assert.deepEqual(
    log.latest()[0]?.found,
    Array.from({ length: 20 }, (_, index) => `${index}`),
  );
});

test("a list that somebody was given does not change under them", () => {
  const log = createRepairLog();
  const before = log.latest();
  log.note({ ...report, writes: 1, found: ["x"] }, 1000);
  assert.deepEqual(before, []);
});
