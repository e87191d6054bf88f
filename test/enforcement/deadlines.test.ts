import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { ConfirmationService } from "../../src/domain/services.ts";
import { createDeadlines } from "../../src/enforcement/deadlines.ts";
import { createTestClock } from "../support/test-clock.ts";

/** Changes that wait, by their times, and what is done with them. */
function createScene() {
  const clock = createTestClock();
  const begun = clock.now();
  const [reverted, logged]: [number[], string[]] = [[], []];
  let due: readonly number[] = [];
  let failure: Error | undefined;
  let gate: Promise<void> | undefined;
  let atOnce = 0;
  let most = 0;
  let shift = 0;
  const confirmations: Pick<ConfirmationService, "nextDeadline" | "revertDue"> = {
    nextDeadline: () => due[0] ?? null,
    async revertDue(now) {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await gate;
      atOnce -= 1;
      if (failure !== undefined) throw failure;
      reverted.push(now - begun);
      due = due.filter((time) => time > now);
    },
  };
  const log = {
    info: (_: object, message: string) => void logged.push(message),
    warn: (details: object, message: string) => void logged.push(`${message}: ${JSON.stringify(details)}`),
  };
  const deadlines = createDeadlines({ confirmations, clock: { ...clock, now: () => clock.now() + shift }, log });
  return {
    deadlines,
    /** When reverts were made, in milliseconds since the begin. */
    reverted,
    logged,
    /** The most reverts that ran at the same time. */
    most: () => most,
    arm: (...seconds: readonly number[]) => {
      due = seconds.map((second) => begun + second * 1_000);
    },
    fail: (error: Error | undefined) => {
      failure = error;
    },
    /** Reverts take until the result is called. */
    block: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    /** Sets the wall clock, in seconds, which no timer notices. */
    shiftWallClock: (seconds: number) => {
      shift += seconds * 1_000;
    },
    /** Lets time pass as it does: every look ends before the next begins. */
    async pass(seconds: number) {
      for (let step = 0; step < seconds * 20; step += 1) {
        clock.advance(50);
        await turn();
      }
    },
  };
}

test("what is due at the start is reverted at once, and nothing else", async () => {
  const { deadlines, reverted, arm, logged } = createScene();
  arm(-5, 30);
  deadlines.start();
  await turn();
  assert.deepEqual(reverted, [0]);
  assert.deepEqual(logged, ["a change that nobody confirmed was reverted"]);
  await deadlines.stop();
});

test("each deadline is met within a quarter of a second, and never before its time", async () => {
  const { deadlines, reverted, arm, pass } = createScene();
  arm(10, 10.6, 17.01);
  deadlines.start();
  await pass(9.95);
  assert.deepEqual(reverted, []);
  await pass(10);
  assert.equal(reverted.length, 3);
  for (const [index, deadline] of [10_000, 10_600, 17_010].entries()) {
    const late = (reverted[index] ?? 0) - deadline;
    assert.ok(late >= 0 && late <= 300, `${late} ms late`);
  }
  await deadlines.stop();
});

test("a change that is armed while nothing waits is seen as well, and nothing is done while nothing waits", async () => {
  const { deadlines, reverted, arm, pass, logged } = createScene();
  deadlines.start();
  await pass(3);
  assert.deepEqual([reverted, logged], [[], []]);
  arm(5);
  await pass(3);
  assert.equal(reverted.length, 1);
  await deadlines.stop();
});

test("deadlines are of the wall clock: one that jumps ahead brings them nearer, one that is set back puts them off", async () => {
  for (const [jump, expected] of [
    [3_600, 1],
    [-3_600, 0],
  ] as const) {
    const { deadlines, reverted, arm, pass, shiftWallClock } = createScene();
    arm(60);
    deadlines.start();
    await pass(1);
    shiftWallClock(jump);
    await pass(expected === 1 ? 0.3 : 100);
    assert.equal(reverted.length, expected);
    await deadlines.stop();
  }
});

test("a revert that fails is tried again until it succeeds, and told once", async () => {
  const { deadlines, reverted, arm, pass, fail, logged } = createScene();
  arm(1);
  fail(new Error("disk full"));
  deadlines.start();
  await pass(2.1);
  assert.deepEqual(reverted, []);
  assert.equal(logged.length, 1);
  assert.match(logged[0] ?? "", /could not be reverted yet: .*disk full/);
  fail(undefined);
  await pass(0.3);
  assert.equal(reverted.length, 1);
  assert.equal(logged.at(-1), "a change that nobody confirmed was reverted");
  await deadlines.stop();
});

test("a revert that takes long is not begun a second time", async () => {
  const { deadlines, reverted, arm, pass, block, most } = createScene();
  const unblock = block();
  arm(1);
  deadlines.start();
  await pass(5);
  assert.deepEqual([most(), reverted], [1, []]);
  unblock();
  await pass(0.3);
  assert.deepEqual([most(), reverted.length], [1, 1]);
  await deadlines.stop();
});

test("a stop waits for the revert that runs, and no other begins", async () => {
  const { deadlines, reverted, arm, pass, block } = createScene();
  const unblock = block();
  arm(1, 2);
  deadlines.start();
  await pass(1.5);
  let stopped = false;
  const stopping = deadlines.stop().then(() => {
    stopped = true;
  });
  await turn();
  assert.equal(stopped, false);
  unblock();
  await stopping;
  assert.equal(reverted.length, 1);
  await pass(5);
  assert.equal(reverted.length, 1);
});

test("a stop before anything is due ends the looks", async () => {
  const { deadlines, reverted, arm, pass } = createScene();
  arm(1);
  deadlines.start();
  await pass(0.5);
  await deadlines.stop();
  await pass(5);
  assert.deepEqual(reverted, []);
});
