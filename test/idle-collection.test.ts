import assert from "node:assert/strict";
import { test } from "node:test";
import { collectWhenIdle } from "../src/idle-collection.ts";
import { createTestClock } from "./support/test-clock.ts";

const megabyte = 2 ** 20;

function scene(t: { after(end: () => void): void }) {
  const clock = createTestClock();
  const state = { held: 40 * megabyte, busy: 0, collections: 0 };
  t.after(
    collectWhenIdle(clock, {
      held: () => state.held,
      busy: () => state.busy,
      collect: () => {
        state.collections += 1;
        state.held = 20 * megabyte;
      },
    }),
  );
  const pass = (seconds: number): void => {
    for (let second = 0; second < seconds; second += 1) clock.advance(1000);
  };
  return { state, pass };
}

test("what the start leaves is collected once there was little to do for three seconds", (t) => {
  const { state, pass } = scene(t);
  pass(2);
  assert.equal(state.collections, 0);
  pass(1);
  assert.equal(state.collections, 1);
});

test("a heap that grows by no more than requests need is left alone, and one that grows more is collected again", (t) => {
  const { state, pass } = scene(t);
  pass(3);
  state.held = 44 * megabyte;
  pass(60);
  assert.equal(state.collections, 1);
  state.held = 45 * megabyte;
  pass(3);
  assert.equal(state.collections, 2);
});

test("nothing is collected while there is much to do", (t) => {
  const { state, pass } = scene(t);
  for (let turn = 0; turn < 10; turn += 1) {
    state.busy = 0.5;
    pass(1);
    state.busy = 0.1;
    pass(2);
  }
  assert.equal(state.collections, 0);
});
