import { EnforcementDelayed } from "../domain/ports.ts";

/**
 * Asks the kernel for somebody who waits `limit` milliseconds at most.
 * @param question gets what throws once nobody waits any more, so that questions that had to queue cost nothing afterwards
 * @throws {EnforcementDelayed} also when the time is over
 */
export function withinTime<T>(limit: number, question: (assertWanted: () => void) => Promise<T>): Promise<T> {
  let over = false;
  const assertWanted = (): void => {
    if (over) throw new EnforcementDelayed("nobody waits for the answer any more");
  };
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      over = true;
      reject(new EnforcementDelayed(`it did not answer within ${limit} ms`));
    }, limit);
    question(assertWanted)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}
