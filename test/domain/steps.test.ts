import assert from "node:assert/strict";
import { test } from "node:test";
import { inTurns, type Steps } from "../../src/domain/steps.ts";

/** Works until a clock that cannot be injected has gone on; a step longer than a turn must let others have theirs. */
function* steps(count: number, milliseconds: number): Steps<number> {
  for (let n = 0; n < count; n += 1) {
    const begun = performance.now();
    while (performance.now() - begun < milliseconds);
    yield;
  }
  return count;
}

test("between long steps others have their turn", async () => {
  let turns = 0;
  const counting = setInterval(() => (turns += 1), 0);
  assert.equal(await inTurns(steps(3, 12)), 3);
  clearInterval(counting);
  assert.ok(turns >= 3, `${turns} turns`);
});

test("short steps are done in one turn", async () => {
  let turns = 0;
  const soon = setImmediate(() => (turns += 1));
  assert.equal(await inTurns(steps(3, 0)), 3);
  clearImmediate(soon);
  assert.equal(turns, 0);
});

test("what goes wrong in a step is thrown", async () => {
  await assert.rejects(
    inTurns(
      (function* (): Steps<number> {
        yield;
        throw new RangeError("no");
      })(),
    ),
    RangeError,
  );
});
