/** Runs `task` for all who ask at the same time. */
export type SharedRun<T> = () => Promise<T>;

/** Milliseconds. */
const longestRest = 50;

/**
 * Whoever asks gets the result of a run that begins after they asked: those who ask in one turn of the event loop, or while another
 * run is under way, share the next one. After a run as much time passes as it took, times `rest` and 50 ms at most, before the next begins: where many ask
 * again and again, more of them share, and the runs don't take all of the time. Who asks now and then does not wait.
 */
export function createSharedRun<T>(task: () => Promise<T>, rest = 0): SharedRun<T> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  let free = Number.NEGATIVE_INFINITY;

  const timed = async (): Promise<T> => {
    const begun = performance.now();
    try {
      return await task();
    } finally {
      const ended = performance.now();
      free = ended + Math.min(longestRest, rest * (ended - begun));
    }
  };

  return () => {
    if (next !== undefined) return next;
    const turn = new Promise<void>((resolve) => setImmediate(resolve));
    const run = Promise.allSettled([running, turn])
      .then(() => until(free))
      .then(() => {
        next = undefined;
        return timed();
      });
    next = run;
    running = run;
    return run;
  };
}

async function until(time: number): Promise<void> {
  const left = time - performance.now();
  if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
}
