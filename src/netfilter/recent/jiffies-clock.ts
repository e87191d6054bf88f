import type { Clock } from "../../domain/ports.ts";
import type { WallTime } from "./wall-time.ts";

/** Turns the kernel's stamps into wall-clock time. */
export interface JiffiesClock {
  /** False until `calibrate` has succeeded once. */
  readonly calibrated: () => boolean;
  /** Measures the tick rate and the tick of now by stamping the canary twice; false when the canary is not there. */
  calibrate(): Promise<boolean>;
  /** Milliseconds since the epoch of a stamp; the same stamp gives the same time until somebody sets the wall clock. */
  wallTimeOf(jiffies: number): number;
}

/** The kernel's possible tick rates (CONFIG_HZ), per second. */
const tickRates = [100, 250, 300, 1000] as const;
/** Long enough, in milliseconds, to tell the rates apart in spite of the rounding to whole ticks. */
const calibrationSpan = 120;
const samples = 8;

/** @param stampNow stamps an entry of a list of our own and returns the stamp, in jiffies; undefined when the list is not there */
export function createJiffiesClock(clock: Clock, wall: WallTime, stampNow: () => number | undefined): JiffiesClock {
  let anchor: { readonly jiffies: number; readonly monotonic: number; readonly rate: number } | undefined;

  /** The sample that took the shortest of a few: on a busy machine this process can be set aside between the stamp and the clock. */
  const sample = () => {
    let best: { readonly jiffies: number; readonly monotonic: number; readonly took: number } | undefined;
    for (let tries = 0; tries < samples; tries += 1) {
      const before = clock.monotonic();
      const jiffies = stampNow();
      if (jiffies === undefined) return undefined;
      const took = clock.monotonic() - before;
      if (best === undefined || took < best.took) best = { jiffies, monotonic: before + took / 2, took };
    }
    return best;
  };
  return {
    calibrated: () => anchor !== undefined,
    calibrate: async () => {
      const first = sample();
      if (!first) return false;
      await new Promise<void>((resolve) => clock.after(calibrationSpan, resolve));
      const second = sample();
      if (!second) return false;
      const perSecond = ((second.jiffies - first.jiffies) * 1000) / (second.monotonic - first.monotonic);
      const rate = tickRates.reduce((best, each) => (Math.abs(each - perSecond) < Math.abs(best - perSecond) ? each : best));
      anchor = { jiffies: second.jiffies, monotonic: second.monotonic, rate };
      return true;
    },
    wallTimeOf: (jiffies) => {
      if (!anchor) throw new Error("the jiffies clock was asked before it was calibrated");
      return wall.of(anchor.monotonic + ((jiffies - anchor.jiffies) * 1000) / anchor.rate);
    },
  };
}
