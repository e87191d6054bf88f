import type { Clock } from "../../domain/ports.ts";

/** A wall clock that differs from its course by more than this many milliseconds has been set. */
const wallJump = 100;

/** Wall-clock time that runs evenly: the same moment gives the same time until somebody sets the clock. */
export interface WallTime {
  /** Milliseconds since the epoch. */
  now(): number;
  /** The same for a moment of the monotonic clock. */
  of(monotonic: number): number;
  /** What the wall clock is ahead of the monotonic one; another value says that somebody set the clock. */
  offset(): number;
}

export function createWallTime(clock: Clock): WallTime {
  let offset = clock.now() - clock.monotonic();
  const present = (): number => {
    const measured = clock.now() - clock.monotonic();
    if (Math.abs(measured - offset) > wallJump) offset = measured;
    return offset;
  };
  return {
    now: () => Math.round(clock.monotonic() + present()),
    of: (monotonic) => Math.round(monotonic + present()),
    offset: present,
  };
}
