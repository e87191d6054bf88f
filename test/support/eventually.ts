import { setTimeout as pause } from "node:timers/promises";

/** How long `eventually` tries and how often, in milliseconds; unless it is said how often, less often the longer it takes. */
export interface Patience {
  readonly within?: number;
  readonly every?: number;
}

const firstPause = 15;
const lastPause = 100;
const growth = 1.25;

type Truthy<T> = Exclude<T, false | null | undefined | 0 | "">;

/**
 * Polls `check` until it returns something truthy, and resolves with that. The only place in the tests that waits.
 * @throws {Error} after the deadline, with `what` and the last value or error that was seen
 */
export async function eventually<T>(what: string, check: () => T | Promise<T>, patience: Patience = {}): Promise<Truthy<T>> {
  const { within = 5_000, every } = patience;
  let wait = every ?? firstPause;
  const deadline = performance.now() + within;
  for (;;) {
    let last: string;
    let cause: unknown;
    try {
      const value = await check();
      if (value) return value as Truthy<T>;
      last = JSON.stringify(value);
    } catch (error) {
      cause = error;
      last = String(error);
    }
    if (performance.now() >= deadline) throw new Error(`not within ${within} ms: ${what}; last seen: ${last}`, { cause });
    await pause(wait);
    if (every === undefined) wait = Math.min(lastPause, wait * growth);
  }
}
