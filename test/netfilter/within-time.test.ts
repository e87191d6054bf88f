import assert from "node:assert/strict";
import { test } from "node:test";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { withinTime } from "../../src/netfilter/within-time.ts";

test("an answer in time is passed on, as an error is", async () => {
  assert.equal(await withinTime(10_000, async () => "answer"), "answer");
  await assert.rejects(
    withinTime(10_000, async () => Promise.reject(new Error("refused"))),
    /^Error: refused$/,
  );
});

test("an answer that takes longer is delayed, and whoever still works on it is told that nobody waits", async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const { promise: told, resolve: tell } = Promise.withResolvers<unknown>();
  const outcome = withinTime(5, async (assertWanted) => {
    assertWanted();
    await gate;
    try {
      assertWanted();
    } catch (error) {
      tell(error);
    }
  });
  await assert.rejects(outcome, (error) => error instanceof EnforcementDelayed && /not answer within 5 ms/.test(error.message));
  open();
  assert.ok((await told) instanceof EnforcementDelayed);
});
