import type { Family } from "../../domain/network.ts";
import { entriesByAddress, type SavedSet, type SetEntry } from "../ipset/saved-sets.ts";
import type { RecentLists } from "../recent/list-files.ts";
import { longestSetTimeout } from "./ban-home.ts";

/** An address or network that a list or set is to hold. */
export interface WantedEntry {
  readonly address: string;
  /** Milliseconds since the epoch; null: no end. */
  readonly expiresAt: number | null;
}

/** One write to an xt_recent list. */
export interface ListWrite {
  readonly list: string;
  /** `+ADDRESS` or `-ADDRESS`. */
  readonly write: string;
}

/** What has to be written so that a list and a set of one name hold what is wanted. */
export interface EntryPlan {
  readonly recent: readonly ListWrite[];
  /** Lines for `ipset restore`. */
  readonly ipset: readonly string[];
  /** Wanted entries for which there is no room. */
  readonly homeless: readonly string[];
}

/** Seconds by which the time left in a set may differ from what is wanted: both are rounded. */
const timeTolerance = 2;

/**
 * Single addresses stand in the list while it has room; networks, and what the list has no room for, in the set.
 * @param set null where ipset is not there
 * @param now milliseconds since the epoch
 */
export function planEntries(
  name: string,
  family: Family,
  wanted: readonly WantedEntry[],
  lists: RecentLists,
  set: SavedSet | undefined | null,
  now: number,
): EntryPlan {
  const own = new Map(wanted.flatMap((entry) => (isOf(family, entry.address) ? [[entry.address, entry]] : [])));
  const listed = new Map((lists.read(name) ?? []).map((entry) => [entry.address, entry.words]));
  const inSet = set ? entriesByAddress(set) : new Map<string, SetEntry>();
  const unknown = [...listed].filter(([address]) => !own.has(address)).map(([, words]) => words);
  const missing = [...own.values()].filter(({ address }) => !listed.has(address));
  let room = lists.capacity() - (listed.size - unknown.length);
  const add: string[] = [];
  const lines: string[] = [];
  const homeless: string[] = [];
  const settled = new Set<string>();
  for (const entry of missing) {
    const present = inSet.get(entry.address);
    if (present === undefined && room > 0 && !entry.address.includes("/")) {
      add.push(entry.address);
      room -= 1;
    } else if (set === null) homeless.push(entry.address);
    else {
      settled.add(entry.address);
      if (present === undefined || !hasTime(present, entry, now))
        lines.push(`add ${name} ${entry.address} timeout ${timeoutOf(entry, now)}`);
    }
  }
  for (const address of inSet.keys()) if (!settled.has(address)) lines.push(`del ${name} ${address}`);
  return {
    recent: [
      ...unknown.map((words) => ({ list: name, write: `-${words}` })),
      ...add.map((address) => ({ list: name, write: `+${address}` })),
    ],
    ipset: lines,
    homeless,
  };
}

/** Whole seconds until the end, rounded up; 0, which has no end, also for what is beyond ipset's reach: the service ends it. */
export function timeoutOf({ expiresAt }: WantedEntry, now: number): number {
  if (expiresAt === null) return 0;
  const seconds = Math.max(1, Math.ceil((expiresAt - now) / 1000));
  return seconds > longestSetTimeout ? 0 : seconds;
}

function hasTime(present: SetEntry, wanted: WantedEntry, now: number): boolean {
  const timeout = timeoutOf(wanted, now);
  if (timeout === 0 || present.secondsLeft === null) return timeout === (present.secondsLeft ?? 0);
  return Math.abs(timeout - present.secondsLeft) <= timeTolerance;
}

/** Canonical text tells the family without being parsed. */
function isOf(family: Family, address: string): boolean {
  return address.includes(":") === (family === 6);
}
