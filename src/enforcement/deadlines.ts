import type { Clock } from "../domain/ports.ts";
import type { ConfirmationService } from "../domain/services.ts";
import type { ReconcilerLog } from "./reconciler.ts";

/** Milliseconds between two looks at the deadlines; they hold over jumps of the wall clock, which no timer sees. */
const lookInterval = 250;

export interface DeadlinesOptions {
  readonly confirmations: Pick<ConfirmationService, "nextDeadline" | "revertDue">;
  readonly clock: Clock;
  readonly log: ReconcilerLog;
}

/** Reverts changes that nobody confirmed in time. */
export interface Deadlines {
  start(): void;
  /** Lets a revert that runs end, and begins no other. */
  stop(): Promise<void>;
}

export function createDeadlines({ confirmations, clock, log }: DeadlinesOptions): Deadlines {
  let cancel: () => void = () => undefined;
  let running: Promise<void> = Promise.resolve();
  let stopped = false;
  let failures = 0;

  const revert = async (): Promise<void> => {
    const deadline = confirmations.nextDeadline();
    if (deadline === null || deadline > clock.now()) return;
    try {
      await confirmations.revertDue(clock.now());
      failures = 0;
      log.info({ deadline: new Date(deadline).toISOString() }, "a change that nobody confirmed was reverted");
    } catch (error) {
      failures += 1;
      if (failures === 1) log.warn({ reason: String(error) }, "a change that nobody confirmed could not be reverted yet");
    }
  };

  const look = (): void => {
    running = revert().finally(() => {
      if (!stopped) cancel = clock.after(lookInterval, look);
    });
  };

  return {
    start: look,
    stop: async () => {
      stopped = true;
      cancel();
      await running;
    },
  };
}
