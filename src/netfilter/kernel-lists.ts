import { type Clock, EnforcementDelayed } from "../domain/ports.ts";
import { activityName, canaryName } from "./bans/names.ts";
import type { Reading } from "./bans/reading.ts";
import type { SavedSet } from "./ipset/saved-sets.ts";
import type { IpSets } from "./ipset/sets.ts";
import { noteLines } from "./ipset/written-sets.ts";
import { createJiffiesClock } from "./recent/jiffies-clock.ts";
import type { RecentLists } from "./recent/list-files.ts";
import { createWallTime } from "./recent/wall-time.ts";

const families = [4, 6] as const;
/** Stamped to learn the kernel's time; no packet meets the canary list, so any address serves. */
const canaryAddress = "127.0.0.1";
/** A reading of the sets serves for this many milliseconds while no packet and no write of ours has changed them. */
const readingLife = 2500;
/** The same where there are so many entries, and their number has not changed. */
const largeReadingLife = 10_000;
const largeSets = 20_000;

const setTypes = ["hash:net", "hash:ip"];

function hasEachType(sets: ReadonlyMap<string, SavedSet> = new Map()): boolean {
  const shapes = [...sets.values()].map(({ shape }) => shape);
  return setTypes.every((type) => shapes.some((shape) => shape.startsWith(`${type} `)));
}

function entriesIn(sets: ReadonlyMap<string, SavedSet>): number {
  return [...sets.values()].reduce((sum, { entries }) => sum + entries.size, 0);
}

/** The lists and sets of bans, read no more often than they can have changed. */
export interface KernelLists {
  /** Why there are no sets, with the remedy; null where there are. Found out once, by the first `read`. */
  withoutSets(): string | null;
  /** Measures the kernel's clock, once its canary is there; false while it is not. @throws {EnforcementDelayed} when it can't be written */
  calibrate(): Promise<boolean>;
  /** Begins the first reading of the sets, for whoever reads first; what is wrong with it is said then. */
  prepare(): void;
  /** @param fresh do not be content with an earlier reading of the sets */
  read(fresh: boolean): Promise<Reading>;
  /** Takes note of lines for `ipset restore` that this service has run. */
  wrote(lines: readonly string[]): void;
  /** Something else than `wrote` tells makes the last reading of the sets worthless. */
  changed(): void;
  /** Milliseconds since the epoch. @throws {EnforcementDelayed} while the kernel's clock is not known */
  wallTimeOf(jiffies: number): number;
  /** Another text whenever a packet has gone over some limit. */
  activityMark(): string;
  /** Lists that our rules keep alive are gone. */
  flushed(): boolean;
}

export function createKernelLists({ lists, sets, clock }: { lists: RecentLists; sets: IpSets; clock: Clock }): KernelLists {
  const wall = createWallTime(clock);
  let missing: string | null | undefined;
  let finding: Promise<typeof last> | undefined;
  /** A reading that was begun before anybody asked for one. */
  let early: Promise<typeof last> | undefined;
  let generation = 0;
  let last: { before: number; after: number; checked: number; activity: string; sets: Map<string, SavedSet> } | undefined;
  const jiffies = createJiffiesClock(clock, wall, () => {
    const list = canaryName(4);
    if (!lists.write(list, `+${canaryAddress}`)) return undefined;
    return lists.read(list)?.find((entry) => entry.address === canaryAddress)?.lastSeen;
  });

  // Two packets can come within one tick: the stamps are counted too.
  const activityMark = (): string =>
    families
      .flatMap((family) => lists.read(activityName(family)) ?? [])
      .map(({ address, stamps }) => `${address}@${stamps.join("+")}`)
      .join();

  const isCurrent = (): boolean =>
    last !== undefined && last.activity === activityMark() && clock.monotonic() - last.checked < readingLife;

  /** Reading tens of thousands of entries each time would cost more than it tells, while none comes or goes. */
  const isSameInSize = async (): Promise<boolean> => {
    if (last === undefined || last.activity !== activityMark() || clock.monotonic() - last.before > largeReadingLife)
      return false;
    const known = last.sets;
    if (entriesIn(known) < largeSets) return false;
    const sizes = await sets.sizes();
    return sizes.size === known.size && [...known].every(([name, { entries }]) => sizes.get(name) === entries.size);
  };

  const readSets = async (fresh: boolean): Promise<typeof last> => {
    if (!fresh && isCurrent()) return last;
    if (fresh && (await isSameInSize())) {
      if (last) last = { ...last, checked: clock.monotonic() };
      return last;
    }
    const [activity, before, begun] = [activityMark(), clock.monotonic(), generation];
    const found = {
      before,
      checked: before,
      sets: await sets.read(),
      after: clock.monotonic(),
      activity,
    };
    // What was written meanwhile may be in it or not.
    if (begun === generation) last = found;
    return found;
  };

  /** Finds out whether there are sets, and reads them. */
  const findSets = async (): Promise<typeof last> => {
    // Where ours are there, nothing has to be tried.
    const found = await readSets(false).catch(() => undefined);
    missing = hasEachType(found?.sets) ? null : await sets.unavailable();
    return missing === null ? readSets(false) : undefined;
  };

  const setsIfThere = async (fresh: boolean): Promise<typeof last> => {
    if (missing !== undefined) return missing === null ? readSets(fresh) : undefined;
    // Two trials at once would get in each other's way.
    finding ??= findSets().finally(() => {
      finding = undefined;
    });
    return finding;
  };

  const prepare = (): void => {
    if (missing !== undefined) return;
    early ??= setsIfThere(false);
    void early.catch(() => undefined);
  };

  return {
    withoutSets: () => missing ?? null,
    prepare,
    calibrate: async () => {
      if (!jiffies.calibrated()) {
        // The sets are read meanwhile, the first time.
        prepare();
        const [calibrated] = await Promise.all([jiffies.calibrate(), early?.catch(() => undefined)]);
        return calibrated;
      }
      // Lists that can't be written any more are to be noticed before there is something to write.
      return lists.isWritable(canaryName(4));
    },
    read: async (fresh) => {
      const begun = fresh ? undefined : early;
      early = undefined;
      const found = await (begun ?? setsIfThere(fresh));
      const now = clock.monotonic();
      // Before the canary is there no list of ours is, so that nothing is missed by not looking at them.
      const known = jiffies.calibrated() ? lists : { ...lists, names: () => [] };
      const wallTimeOf = jiffies.wallTimeOf;
      const activity = found?.activity ?? activityMark();
      return {
        before: wall.of(found?.before ?? now),
        after: wall.of(found?.after ?? now),
        now: wall.of(now),
        clockOffset: wall.offset(),
        activity,
        lists: known,
        sets: found?.sets ?? null,
        wallTimeOf,
      };
    },
    wrote: (lines) => {
      generation += 1;
      const age = last === undefined ? 0 : Math.floor((clock.monotonic() - last.before) / 1000);
      if (last !== undefined && !noteLines(last.sets, lines, age)) last = undefined;
    },
    changed: () => {
      generation += 1;
      last = undefined;
      early = undefined;
    },
    activityMark,
    wallTimeOf: (stamp) => {
      if (!jiffies.calibrated()) throw new EnforcementDelayed("the kernel's clock is not known yet");
      return jiffies.wallTimeOf(stamp);
    },
    flushed: () => !families.every((family) => lists.exists(canaryName(family))),
  };
}
