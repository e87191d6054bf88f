import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Clock } from "../../../src/domain/ports.ts";
import { createJiffiesClock } from "../../../src/netfilter/recent/jiffies-clock.ts";
import { createWallTime } from "../../../src/netfilter/recent/wall-time.ts";
import { createTestClock, type TestClock } from "../../support/test-clock.ts";

const start = Date.UTC(2026, 10, 22, 8);

/** A machine whose wall clock can be set, apart from the time that never jumps. */
function createMachine(tickRate: number, phase = 0) {
  const monotonic: TestClock = createTestClock(start);
  let shift = 0;
  let canary = true;
  const clock: Clock = { ...monotonic, now: () => monotonic.now() + shift };
  const boot = 2 ** 32 - 300 * tickRate;
  const jiffies = () => boot + Math.floor((monotonic.monotonic() * tickRate) / 1000 + phase);
  const jiffiesClock = createJiffiesClock(clock, createWallTime(clock), () => (canary ? jiffies() : undefined));
  return {
    jiffies,
    jiffiesClock,
    now: clock.now,
    advance: monotonic.advance,
    setWallClock: (by: number) => {
      shift += by;
    },
    removeCanary: () => {
      canary = false;
    },
    calibrate: async () => {
      const done = jiffiesClock.calibrate();
      monotonic.advance(1000);
      return done;
    },
  };
}

for (const tickRate of [100, 250, 300, 1000]) {
  describe(`with ${tickRate} ticks a second`, () => {
    for (const phase of [0, 0.5, 0.99]) {
      test(`stamps become wall-clock times, right to 20 ms over a day (${phase} ticks in)`, async () => {
        const machine = createMachine(tickRate, phase);
        assert.equal(await machine.calibrate(), true);
        for (const pause of [0, 7, 1003, 86_400_000]) {
          machine.advance(pause);
          assert.ok(Math.abs(machine.jiffiesClock.wallTimeOf(machine.jiffies()) - machine.now()) <= 20);
        }
      });
    }

    test("stamps of the past are as far back as they were", async () => {
      const machine = createMachine(tickRate);
      await machine.calibrate();
      const now = machine.jiffiesClock.wallTimeOf(machine.jiffies());
      assert.equal(now - machine.jiffiesClock.wallTimeOf(machine.jiffies() - 60 * tickRate), 60_000);
    });
  });
}

describe("the same stamp", () => {
  test("gives the same time whenever it is asked", async () => {
    const machine = createMachine(250);
    await machine.calibrate();
    const stamp = machine.jiffies();
    const first = machine.jiffiesClock.wallTimeOf(stamp);
    for (const pause of [1, 333, 5_000, 3_600_000]) {
      machine.advance(pause);
      assert.equal(machine.jiffiesClock.wallTimeOf(stamp), first);
    }
  });

  test("gives the same time while the wall clock is only nudged", async () => {
    const machine = createMachine(250);
    await machine.calibrate();
    const first = machine.jiffiesClock.wallTimeOf(machine.jiffies());
    machine.setWallClock(-40);
    assert.equal(machine.jiffiesClock.wallTimeOf(machine.jiffies()), first);
  });

  for (const by of [3_600_000, -3_600_000, 250]) {
    test(`moves with a wall clock that is set by ${by} ms, once`, async () => {
      const machine = createMachine(250);
      await machine.calibrate();
      const stamp = machine.jiffies();
      const first = machine.jiffiesClock.wallTimeOf(stamp);
      machine.setWallClock(by);
      assert.equal(machine.jiffiesClock.wallTimeOf(stamp), first + by);
      machine.advance(10_000);
      assert.equal(machine.jiffiesClock.wallTimeOf(stamp), first + by);
    });
  }
});

describe("without the canary", () => {
  test("the clock is not calibrated, and says so", async () => {
    const machine = createMachine(250);
    machine.removeCanary();
    assert.equal(await machine.calibrate(), false);
    assert.equal(machine.jiffiesClock.calibrated(), false);
  });

  test("that goes away meanwhile the clock is not calibrated either", async () => {
    const machine = createMachine(250);
    const calibration = machine.jiffiesClock.calibrate();
    machine.removeCanary();
    machine.advance(1000);
    assert.equal(await calibration, false);
    assert.equal(machine.jiffiesClock.calibrated(), false);
  });

  test("a clock that was never calibrated does not guess", () => {
    assert.throws(() => createMachine(250).jiffiesClock.wallTimeOf(1), /before it was calibrated/);
  });

  test("a clock that was calibrated once goes on telling the time", async () => {
    const machine = createMachine(250);
    await machine.calibrate();
    machine.removeCanary();
    assert.equal(await machine.calibrate(), false);
    assert.equal(machine.jiffiesClock.calibrated(), true);
    assert.ok(Math.abs(machine.jiffiesClock.wallTimeOf(machine.jiffies()) - machine.now()) <= 20);
  });
});
