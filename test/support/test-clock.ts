import type { Clock } from "../../src/domain/ports.ts";

export interface TestClock extends Clock {
  /** Moves both times on by `milliseconds`, calling back what falls due on the way, in order. */
  advance(milliseconds: number): void;
}

/** A clock that stands still until it is advanced. `start` is the wall-clock time in milliseconds since the epoch. */
export function createTestClock(start: number = Date.UTC(2026, 10, 22, 8)): TestClock {
  let elapsed = 0;
  const timers = new Set<{ readonly due: number; readonly callback: () => void }>();

  function nextDue(end: number) {
    let next: { readonly due: number; readonly callback: () => void } | undefined;
    for (const timer of timers) {
      if (timer.due <= end && (next === undefined || timer.due < next.due)) next = timer;
    }
    return next;
  }

  return {
    now: () => start + elapsed,
    monotonic: () => elapsed,
    after(delay, callback) {
      const timer = { due: elapsed + Math.max(0, delay), callback };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },
    advance(milliseconds) {
      const end = elapsed + milliseconds;
      for (let timer = nextDue(end); timer !== undefined; timer = nextDue(end)) {
        timers.delete(timer);
        elapsed = timer.due;
        timer.callback();
      }
      elapsed = end;
    },
  };
}
