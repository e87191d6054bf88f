import type { Clock } from "./ports.ts";
import type { BanService } from "./services.ts";

/** All in milliseconds. */
const times = {
  /** Between two cohorts, for those who were just answered to come back. */
  rest: 2,
  /** For which a cohort of several is a sign that more will come together. */
  crowded: 20,
  /** That anybody waits for the cohort before. */
  patience: 20,
} as const;

/** Runs `work` together with that of others. */
export type Cohorts = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * Lets those who come while others are at it wait, and go together once these are done. What many writers share, a look at the host's
 * sockets, a commit, a write to the kernel, costs the same for one as for all of them, and without this they spread over its steps.
 * Where the others take their time, nobody waits for them longer than 22 ms.
 */
export function createCohorts(clock: Clock): Cohorts {
  let busy = 0;
  let waiting: (() => void)[] = [];
  let cancel: () => void = () => undefined;
  /** Until then nobody goes alone. */
  let crowdedUntil = Number.NEGATIVE_INFINITY;
  let size = 0;
  /** The most who were there at one time in this busy spell, at it or waiting; and in the last: when so many are there, nobody is waited for. */
  let [present, expected] = [0, 0];

  const admit = (): void => {
    cancel();
    const admitted = waiting;
    waiting = [];
    size = admitted.length;
    busy += size;
    for (const go of admitted) go();
  };

  const admitAfter = (delay: number): void => {
    cancel();
    cancel = clock.after(delay, admit);
  };

  const leave = (): void => {
    busy -= 1;
    if (busy > 0) return;
    expected = present;
    present = waiting.length;
    if (size > 1) crowdedUntil = clock.monotonic() + times.crowded;
    if (waiting.length > 0) admitAfter(times.rest);
  };

  const turn = (): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(resolve);
      present = Math.max(present, busy + waiting.length);
      if (busy === 0 && expected > 1 && waiting.length >= expected) return admit();
      if (waiting.length > 1) return;
      if (busy > 0) admitAfter(times.patience);
      else if (clock.monotonic() < crowdedUntil) admitAfter(times.rest);
      else admit();
    });

  return async (work) => {
    await turn();
    try {
      return await work();
    } finally {
      leave();
    }
  };
}

/** Bans that are written one at a time go together with those of other writers; a batch is many already. */
export function inCohorts(service: BanService, together: Cohorts): BanService {
  return {
    ...service,
    create: (...asked) => together(() => service.create(...asked)),
    put: (...asked) => together(() => service.put(...asked)),
    remove: (...asked) => together(() => service.remove(...asked)),
  };
}
