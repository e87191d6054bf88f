import type { Clock } from "../../src/domain/ports.ts";
import { createReconciler } from "../../src/enforcement/reconciler.ts";
import { createTestClock } from "../support/test-clock.ts";
import { createMemoryStore } from "./memory-store.ts";
import { createScriptedFirewall } from "./scripted-firewall.ts";

/** The longest time, in milliseconds, that passes without a turn of the event loop. */
const step = 50;

/** Enough turns of the event loop for a pass that nothing holds up. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 6; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** A reconciler between a store and a firewall in memory, with the time in the test's hand. */
export function createScene() {
  const testClock = createTestClock();
  let wallShift = 0;
  const clock: Clock = { ...testClock, now: () => testClock.now() + wallShift };
  const store = createMemoryStore();
  const firewall = createScriptedFirewall();
  const logged: { readonly level: "info" | "warn"; readonly details: object; readonly message: string }[] = [];
  const log = {
    info: (details: object, message: string) => void logged.push({ level: "info", details, message }),
    warn: (details: object, message: string) => void logged.push({ level: "warn", details, message }),
  };
  const reconciler = createReconciler({ store, firewall, clock, log });
  return {
    store,
    firewall,
    reconciler,
    logged,
    turns,
    now: clock.now,
    /** Lets `milliseconds` pass, and what they set off come to its end. */
    pass: async (milliseconds: number) => {
      for (let left = milliseconds; left > 0; left -= step) {
        testClock.advance(Math.min(step, left));
        await turns();
      }
    },
    setWallClock: (by: number) => {
      wallShift += by;
    },
    /** Begins another service over the same store and kernel. */
    anotherReconciler: () => createReconciler({ store, firewall, clock, log }),
    kinds: () => firewall.passes.map((pass) => pass.kind),
    lastDesired: () => firewall.passes.at(-1)?.desired,
    /** Asks for a pass, for a caller who has waited already, and remembers the answer; `undefined` while there is none. */
    ask: (scope: Parameters<typeof reconciler.settle>[0], waited = 0) => {
      const question: { answer: boolean | Error | undefined } = { answer: undefined };
      const keep = (answer: boolean | Error): void => {
        question.answer = answer;
      };
      void reconciler.settle(scope, clock.monotonic() - waited).then(keep, keep);
      return question;
    },
  };
}
