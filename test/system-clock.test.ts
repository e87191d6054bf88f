import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemClock } from "../src/system-clock.ts";

describe("the clock of the machine", () => {
  test("tells the wall-clock time in milliseconds", () => {
    const before = Date.now();
    const now = systemClock.now();
    assert.ok(before <= now && now <= Date.now());
  });

  test("never goes back where it measures", () => {
    const first = systemClock.monotonic();
    assert.ok(systemClock.monotonic() >= first);
  });

  test("calls back once after the delay", async () => {
    const start = systemClock.monotonic();
    await new Promise<void>((resolve) => systemClock.after(5, resolve));
    assert.ok(systemClock.monotonic() - start >= 4);
  });

  test("does not call back what was cancelled", async () => {
    const called: string[] = [];
    const cancel = systemClock.after(1, () => called.push("cancelled"));
    cancel();
    await new Promise<void>((resolve) => systemClock.after(5, resolve));
    assert.deepEqual(called, []);
  });
});
