import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createWallTime } from "../../../src/netfilter/recent/wall-time.ts";
import { createTestClock } from "../../support/test-clock.ts";

function createMachine() {
  const testClock = createTestClock();
  let shift = 0;
  const wall = createWallTime({ ...testClock, now: () => testClock.now() + shift });
  return {
    wall,
    advance: testClock.advance,
    now: () => testClock.now() + shift,
    monotonic: testClock.monotonic,
    setWallClock: (by: number) => {
      shift += by;
    },
  };
}

describe("wall-clock time", () => {
  test("is that of the machine", () => {
    const machine = createMachine();
    machine.advance(1234.4);
    assert.equal(machine.wall.now(), Math.round(machine.now()));
    assert.equal(machine.wall.of(machine.monotonic() - 1000), Math.round(machine.now() - 1000));
  });

  test("runs evenly while the clock of the machine is only nudged", () => {
    const machine = createMachine();
    const [moment, offset] = [machine.wall.of(500), machine.wall.offset()];
    machine.setWallClock(-90);
    machine.advance(60_000);
    assert.deepEqual([machine.wall.of(500), machine.wall.offset()], [moment, offset]);
  });

  for (const by of [3_600_000, -3_600_000, 101]) {
    test(`of every moment moves when the clock is set by ${by} ms, and its offset tells`, () => {
      const machine = createMachine();
      const [moment, offset] = [machine.wall.of(500), machine.wall.offset()];
      machine.setWallClock(by);
      assert.deepEqual([machine.wall.of(500), machine.wall.offset()], [moment + by, offset + by]);
      assert.equal(machine.wall.now(), machine.now());
    });
  }
});
