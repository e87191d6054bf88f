import assert from "node:assert/strict";
import { it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { onceATurn } from "../../src/netfilter/once-a-turn.ts";

it("reads once a turn of the event loop, and anew in the next", async () => {
  let reads = 0;
  const read = onceATurn(() => {
    reads += 1;
    return reads;
  });
  assert.deepEqual([read(), read()], [1, 1]);
  await nextTurn();
  assert.equal(read(), 2);
});

it("does not keep a failure", () => {
  let reads = 0;
  const read = onceATurn(() => {
    reads += 1;
    if (reads === 1) throw new Error("it can't be read now");
    return reads;
  });
  assert.throws(read);
  assert.equal(read(), 2);
});
