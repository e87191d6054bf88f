/** Runs `task` for all who ask at the same time. */
export type SharedRun<T> = () => Promise<T>;

/**
 * Whoever asks gets the result of a run that begins after they asked: those who ask in one turn of the event loop, or while another
 * run is under way, share the next one.
 */
export function createSharedRun<T>(task: () => Promise<T>): SharedRun<T> {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<T> | undefined;
  return () => {
    if (next !== undefined) return next;
    const turn = new Promise<void>((resolve) => setImmediate(resolve));
    const run = Promise.allSettled([running, turn]).then(() => {
      next = undefined;
      return task();
    });
    next = run;
    running = run;
    return run;
  };
}
