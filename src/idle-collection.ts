import { performance } from "node:perf_hooks";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Clock } from "./domain/ports.ts";

/** The memory of this process, as the collection looks at it. */
export interface Memory {
  /** Bytes that the heap has of the host. */
  held(): number;
  /** How much of the time the event loop was busy since it was asked last, from 0 to 1. */
  busy(): number;
  /** Collects all garbage and gives back what is free then. Keeps the event loop for some tenths of a second. */
  collect(): void;
}

const interval = 1000;
/** So many looks in a row have to find little to do. */
const quietLooks = 3;
const quiet = 0.2;
/** Bytes by which the heap has grown since the last collection: a large batch, not some requests. */
const growth = 24 * 2 ** 20;

/**
 * Collects garbage when there is nothing else to do. V8 does so for room, hence never while a service idles: what its start left behind, or a
 * large batch, would stay for hours.
 * @returns ends it
 */
export function collectWhenIdle(clock: Clock, memory: Memory = createMemory()): () => void {
  let left = 0;
  let looks = 0;
  let cancel = (): void => undefined;
  const look = (): void => {
    looks = memory.busy() < quiet ? looks + 1 : 0;
    if (looks >= quietLooks && memory.held() > left + growth) {
      memory.collect();
      left = memory.held();
      memory.busy();
      looks = 0;
    }
    cancel = clock.after(interval, look);
  };
  cancel = clock.after(interval, look);
  return () => cancel();
}

function createMemory(): Memory {
  // Known to contexts that are made while the flag stands.
  setFlagsFromString("--expose-gc");
  const gc: NodeJS.GCFunction = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  let last = performance.eventLoopUtilization();
  return {
    held: () => getHeapStatistics().total_physical_size,
    busy: () => {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, last);
      last = now;
      return utilization;
    },
    // The only kind that compacts the heap and gives pages back.
    collect: () => void gc({ type: "major", execution: "sync", flavor: "last-resort" }),
  };
}
