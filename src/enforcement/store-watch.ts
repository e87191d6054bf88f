import type { Clock, Store } from "../domain/ports.ts";
import type { ReconcilerLog } from "./reconciler.ts";

/** Milliseconds between two looks at the disk. */
const lookInterval = 1000;

export interface StoreWatchOptions {
  readonly store: Pick<Store, "probe" | "failure">;
  readonly clock: Clock;
  readonly log: ReconcilerLog;
}

/** Notices that the disk takes no commits any more, and that it does again, although nobody writes. */
export interface StoreWatch {
  start(): void;
  /** Lets a look that runs end, and begins no other. */
  stop(): Promise<void>;
}

export function createStoreWatch({ store, clock, log }: StoreWatchOptions): StoreWatch {
  let cancel: () => void = () => undefined;
  let running: Promise<void> = Promise.resolve();
  let told: string | null = null;
  let stopped = false;

  const probe = async (): Promise<void> => {
    try {
      await store.probe();
    } catch {
      // What went wrong is what `failure` says.
    }
    const failure = store.failure();
    if (failure !== null && told === null) log.warn({ reason: failure }, "nothing can be stored; the kernel keeps what it has");
    if (failure === null && told !== null) log.info({}, "the store can be written again");
    told = failure;
  };

  const look = (): void => {
    running = probe().finally(() => {
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
