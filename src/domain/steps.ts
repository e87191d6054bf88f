import { setImmediate } from "node:timers/promises";

/** Work in steps: between two of them others may have their turn. */
export type Steps<T> = Generator<undefined, T, undefined>;

/** Milliseconds of work after which others have it. */
const longestTurn = 5;

/** Does all steps, in as many turns of the event loop as they need. */
export async function inTurns<T>(steps: Steps<T>): Promise<T> {
  let begun = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() - begun < longestTurn) continue;
    await setImmediate();
    begun = performance.now();
  }
}
