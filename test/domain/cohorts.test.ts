import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { createCohorts } from "../../src/domain/cohorts.ts";
import { createTestClock } from "../support/test-clock.ts";

/** Works that are told when they are done; `begun` names those that have begun, in order. */
function createStage() {
  const clock = createTestClock();
  const together = createCohorts(clock);
  const begun: string[] = [];
  const come = (name: string) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const done = together(async () => {
      begun.push(name);
      await promise;
      return name;
    });
    return { done, finish: resolve, fail: reject };
  };
  const pass = async (milliseconds: number): Promise<void> => {
    await setImmediate();
    clock.advance(milliseconds);
    await setImmediate();
  };
  return { come, begun, pass };
}

test("who comes alone begins at once", async () => {
  const { come, begun, pass } = createStage();
  const first = come("first");
  await pass(0);
  assert.deepEqual(begun, ["first"]);
  first.finish();
  assert.equal(await first.done, "first");
  come("second");
  await pass(0);
  assert.deepEqual(begun, ["first", "second"]);
});

test("who comes while others are at it goes together with all who wait, a moment after these are done", async () => {
  const { come, begun, pass } = createStage();
  const first = come("first");
  await pass(1);
  come("second");
  const third = come("third");
  await pass(10);
  assert.deepEqual(begun, ["first"]);
  first.finish();
  await pass(0);
  come("fourth");
  assert.deepEqual(begun, ["first"]);
  await pass(5);
  assert.deepEqual(begun, ["first", "second", "third", "fourth"]);
  come("fifth");
  third.fail(new Error("no"));
  await assert.rejects(third.done, /no/);
  await pass(5);
  assert.equal(begun.length, 4, "two of the cohort are still at it");
});

test("who was in a cohort and comes back waits a moment for the others, until all are there, but not after a while", async () => {
  const { come, begun, pass } = createStage();
  const first = come("first");
  await pass(0);
  const cohort = [come("second"), come("third")];
  first.finish();
  await pass(5);
  for (const member of cohort) member.finish();
  await pass(0);
  const back = come("back");
  await pass(1);
  assert.deepEqual(begun.slice(3), []);
  const also = come("also back");
  await pass(0);
  assert.deepEqual(begun.slice(3), ["back", "also back"]);

  back.finish();
  also.finish();
  await pass(0);
  const only = come("only one comes back");
  await pass(1);
  assert.deepEqual(begun.slice(5), []);
  await pass(1);
  assert.deepEqual(begun.slice(5), ["only one comes back"]);

  only.finish();
  await pass(20);
  come("much later");
  await pass(0);
  assert.equal(begun.at(-1), "much later");
});

test("those who waited for a smaller cohort and those of it belong together, so that two halves do not take turns", async () => {
  const { come, begun, pass } = createStage();
  const small = come("small");
  await pass(0);
  const late = [come("late"), come("later")];
  small.finish();
  await pass(1);
  assert.deepEqual(begun, ["small"]);
  const back = come("small again");
  await pass(0);
  assert.deepEqual(begun, ["small", "late", "later", "small again"]);
  for (const member of [...late, back]) member.finish();
});

test("who is done sooner than the cohort, and who is let in beside it, count once among those who are waited for", async () => {
  const { come, begun, pass } = createStage();
  const first = come("first");
  await pass(0);
  const [refused, slow] = [come("refused"), come("slow")];
  first.finish();
  await pass(5);
  refused.fail(new Error("no"));
  await assert.rejects(refused.done, /no/);
  come("refused again").finish();
  await pass(0);
  slow.finish();
  await pass(0);
  const second = come("second of two");
  await pass(0);
  assert.deepEqual(begun.slice(3), ["refused again", "second of two"]);

  const beside = come("beside");
  await pass(20);
  assert.equal(begun.at(-1), "beside");
  beside.finish();
  await beside.done;
  come("waits").finish();
  await pass(0);
  second.finish();
  await pass(0);
  come("one of two").finish();
  await pass(0);
  assert.deepEqual(begun.slice(6), ["waits", "one of two"]);
});

test("nobody waits longer than 20 ms for others who hang, and a failure lets the next ones in as well", async () => {
  const { come, begun, pass } = createStage();
  const hanging = come("hanging");
  await pass(5);
  const late = come("late");
  await pass(19);
  assert.deepEqual(begun, ["hanging"]);
  await pass(1);
  assert.deepEqual(begun, ["hanging", "late"]);
  late.finish();
  await late.done;
  come("next");
  hanging.fail(new Error("no answer"));
  await assert.rejects(hanging.done, /no answer/);
  await pass(5);
  assert.deepEqual(begun, ["hanging", "late", "next"]);
});
