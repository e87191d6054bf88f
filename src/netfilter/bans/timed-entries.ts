import type { Family } from "../../domain/network.ts";
import type { Steps } from "../../domain/steps.ts";
import type { SavedSet, SetEntry } from "../ipset/saved-sets.ts";
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
  /** Of the list and the set. */
  readonly name: string;
  readonly recent: readonly ListWrite[];
  /** Lines for `ipset restore`. */
  readonly ipset: readonly string[];
  /** Wanted entries for which there is no room. */
  readonly homeless: readonly string[];
  /** The entries that `ipset` adds. */
  readonly added: readonly WantedEntry[];
}

/** The ends with which entries of sets were written, by set and address: more exact than the whole seconds that the kernel tells. */
export type WrittenEnds = ReadonlyMap<string, ReadonlyMap<string, number | null>>;

/** Wanted entries that are looked at in one step. */
const stepLength = 2048;
/** Seconds by which the time left in a set may differ from what is wanted: both are rounded. */
const timeTolerance = 2;

/**
 * Single addresses stand in the list while it has room; networks, and what the list has no room for, in the set.
 * @param set null where ipset is not there
 * @param now milliseconds since the epoch
 * @param readAt when the set was read: the times of its entries count from then
 * @param written the ends with which entries of the set were written, as far as this process did
 * @param only the addresses that are looked at, wanted or not; without it, all
 */
export function* planEntries(
  name: string,
  family: Family,
  wanted: readonly WantedEntry[],
  lists: RecentLists,
  set: SavedSet | undefined | null,
  now: number,
  readAt = now,
  written: WrittenEnds = new Map(),
  only?: ReadonlySet<string>,
): Steps<EntryPlan> {
  const listed = new Map((lists.read(name) ?? []).map((entry) => [entry.address, entry.words]));
  const inSet: ReadonlyMap<string, SetEntry> = set?.entries ?? new Map();
  const writtenHere = written.get(name);
  const renewed: WantedEntry[] = [];
  const missing: WantedEntry[] = [];
  let [keptInList, keptInSet, looked] = [0, 0, 0];
  for (const entry of wanted) {
    looked += 1;
    if (looked % stepLength === 0) yield;
    if (!isOf(family, entry.address)) continue;
    const present = inSet.get(entry.address);
    if (listed.has(entry.address)) keptInList += 1;
    else if (present === undefined) missing.push(entry);
    else {
      keptInSet += 1;
      if (!endsAsWanted(present, entry, writtenHere?.get(entry.address), readAt)) renewed.push(entry);
    }
  }
  const isWhole = only === undefined && keptInList === listed.size && keptInSet === inSet.size;
  const kept = new Set(isWhole ? [] : wanted.map((entry) => entry.address));
  const among = (addresses: ReadonlyMap<string, unknown>): readonly string[] =>
    only === undefined ? [...addresses.keys()] : [...only].filter((address) => addresses.has(address));
  const unknown = isWhole ? [] : among(listed).filter((address) => !kept.has(address));
  const homes = findHomes(missing, lists.capacity() - (listed.size - unknown.length), set !== null);
  const removed = isWhole ? [] : among(inSet).filter((address) => listed.has(address) || !kept.has(address));
  const added = renewed.length === 0 ? homes.set : [...renewed, ...homes.set];
  return {
    name,
    recent: [
      ...unknown.map((address) => ({ list: name, write: `-${listed.get(address)}` })),
      ...homes.list.map(({ address }) => ({ list: name, write: `+${address}` })),
    ],
    ipset: [...added.map((entry) => addition(name, entry, now)), ...removed.map((address) => `del ${name} ${address}`)],
    homeless: homes.none.map(({ address }) => address),
    added,
  };
}

/** The list takes single addresses while it has room, the set the rest. */
function findHomes(entries: readonly WantedEntry[], room: number, withSet: boolean) {
  const [list, rest]: [WantedEntry[], WantedEntry[]] = [[], []];
  for (const entry of entries) (list.length < room && !entry.address.includes("/") ? list : rest).push(entry);
  return { list, set: withSet ? rest : [], none: withSet ? [] : rest };
}

function addition(name: string, entry: WantedEntry, now: number): string {
  return `add ${name} ${entry.address} timeout ${timeoutOf(entry, now)}`;
}

/** Whole seconds until the end, rounded up; 0, which has no end, also for what is beyond ipset's reach: the service ends it. */
export function timeoutOf({ expiresAt }: WantedEntry, now: number): number {
  if (expiresAt === null) return 0;
  const seconds = Math.max(1, Math.ceil((expiresAt - now) / 1000));
  return seconds > longestSetTimeout ? 0 : seconds;
}

/** @param written the end with which this process wrote it, if it did */
function endsAsWanted(present: SetEntry, wanted: WantedEntry, written: number | null | undefined, readAt: number): boolean {
  return (written === undefined || written === wanted.expiresAt) && hasTime(present, wanted, readAt);
}

function hasTime(present: SetEntry, wanted: WantedEntry, readAt: number): boolean {
  const timeout = timeoutOf(wanted, readAt);
  if (timeout === 0 || present.secondsLeft === null) return timeout === (present.secondsLeft ?? 0);
  return Math.abs(timeout - present.secondsLeft) <= timeTolerance;
}

/** Canonical text tells the family without being parsed. */
function isOf(family: Family, address: string): boolean {
  return address.includes(":") === (family === 6);
}
