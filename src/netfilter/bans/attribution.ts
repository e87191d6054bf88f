import type { Policy } from "../../domain/policy.ts";
import { memo } from "../memo.ts";
import { banHomeName, banHomeOf } from "./ban-home.ts";
import { type OffenderList, parseOffenderName } from "./names.ts";
import { type HomeEntry, type Reading, withoutPrefix } from "./reading.ts";

/** One packet can stamp two lists a tick apart; two sets that it wrote to can show times a second apart. In milliseconds. */
const samePacket = { stamps: 12, timeouts: 1000 } as const;

/** Who was seen over which policy's limit, as the lists and sets of offenders tell. */
export interface OffenderTrace {
  /** When the policy's list saw the address last, in milliseconds since the epoch. */
  stampOf(list: OffenderList, address: string): number | undefined;
  /** When the policy's set will forget the address, to a second. */
  forgottenAt(list: OffenderList, address: string): number | undefined;
  /** Policies that have such a list or set. */
  readonly lists: readonly OffenderList[];
}

/** Reads each list of offenders at most once, and only when somebody asks. */
export function traceOffenders({ lists, sets, wallTimeOf, before }: Reading): OffenderTrace {
  const named = (names: Iterable<string>) =>
    [...names].flatMap((name) => {
      const list = parseOffenderName(name);
      return list ? [{ list, name }] : [];
    });
  const [inLists, inSets] = [named(lists.names()), named(sets?.keys() ?? [])];
  const nameOf = new Map(inLists.map(({ list, name }) => [keyOf(list), name]));
  const setNameOf = new Map(inSets.map(({ list, name }) => [keyOf(list), name]));
  const stamps = memo((name: string) => new Map((lists.read(name) ?? []).map((entry) => [entry.address, entry.lastSeen])));
  const left = memo(
    (name: string) =>
      new Map([...(sets?.get(name)?.entries.values() ?? [])].map((entry) => [entry.address, entry.secondsLeft ?? 0])),
  );
  return {
    lists: [...new Map([...inLists, ...inSets].map(({ list }) => [keyOf(list), list])).values()],
    stampOf: (list, address) => {
      const jiffies = stamps(nameOf.get(keyOf(list)) ?? "").get(withoutPrefix(address));
      return jiffies === undefined ? undefined : wallTimeOf(jiffies);
    },
    forgottenAt: (list, address) => {
      const seconds = left(setNameOf.get(keyOf(list)) ?? "").get(withoutPrefix(address));
      return seconds === undefined ? undefined : before + seconds * 1000;
    },
  };
}

/**
 * The policies because of which an entry is there: those whose offenders were written down by the same packet; where that trace
 * is lost, those that write to this home.
 * @param began when the entry was made, in milliseconds since the epoch, if that is known exactly
 */
export function causesOf(
  entry: HomeEntry,
  began: number | null,
  policies: readonly Policy[],
  trace: OffenderTrace,
): readonly string[] {
  const { home } = entry;
  if (home.policy !== null) return [home.policy];
  const writers = new Set(writersOf(entry, policies));
  const seen = trace.lists.filter((list) => list.family === home.family && list.prefix === home.prefix);
  const writing = seen.filter((list) => writers.has(list.policy));
  return tracedTo(entry, began, writing, trace) ?? tracedTo(entry, began, seen, trace) ?? [...writers];
}

/** Those of the lists that were written by the packet that made the entry. */
function tracedTo(
  entry: HomeEntry,
  began: number | null,
  candidates: readonly OffenderList[],
  trace: OffenderTrace,
): readonly string[] | undefined {
  const { address } = entry;
  const stamped = candidates.filter((list) => {
    const stamp = trace.stampOf(list, address);
    return stamp !== undefined && began !== null && Math.abs(stamp - began) <= samePacket.stamps;
  });
  if (stamped.length > 0) return stamped.map((list) => list.policy);
  const timed = candidates.filter((list) => {
    const forgotten = trace.forgottenAt(list, address);
    return forgotten !== undefined && entry.end !== null && Math.abs(forgotten - entry.end.earliest) <= samePacket.timeouts;
  });
  return timed.length > 0 ? timed.map((list) => list.policy) : undefined;
}

/** Policies that write to the entry's home. */
export function writersOf({ home, name }: HomeEntry, policies: readonly Policy[]): readonly string[] {
  return policies
    .filter((policy) => {
      const own = banHomeOf(policy, home.family, home.storage === "ipset");
      return own !== undefined && banHomeName(own) === name;
    })
    .map((policy) => policy.name);
}

function keyOf({ family, prefix, policy }: OffenderList): string {
  return `${family}/${prefix}/${policy}`;
}
