import { formatNetwork, maskNetwork, parseNetwork } from "../../domain/network.ts";
import type { Policy } from "../../domain/policy.ts";
import type { SavedSet } from "../ipset/saved-sets.ts";
import { memo, once } from "../memo.ts";
import type { RecentLists } from "../recent/list-files.ts";
import { type BanHome, parseBanHomeName } from "./ban-home.ts";
import { activityName } from "./names.ts";

/** What the lists and sets held at one moment. Times in milliseconds since the epoch. */
export interface Reading {
  /** The sets were read between these two. */
  readonly before: number;
  readonly after: number;
  /** The moment for which it is asked; later than `after` when the sets were read earlier and have not changed since. */
  readonly now: number;
  /** What the wall clock is ahead of the kernel's; another value than before says that somebody set the clock. */
  readonly clockOffset: number;
  /** The mark of the packets that had gone over some limit by then. */
  readonly activity: string;
  readonly lists: RecentLists;
  /** Null where ipset is not there. */
  readonly sets: ReadonlyMap<string, SavedSet> | null;
  readonly wallTimeOf: (jiffies: number) => number;
}

/** One entry of a home as the kernel tells it. */
export interface HomeEntry {
  /** Name of the list or set. */
  readonly name: string;
  readonly home: BanHome;
  /** Canonical address or network of the home's prefix. */
  readonly address: string;
  /** The end lies between these two; null in a list whose entries the service ends. */
  readonly end: { readonly earliest: number; readonly latest: number } | null;
  /** When the entry was last stamped, where the kernel says so. */
  readonly lastSeenAt: number | null;
}

/** Every entry that still refuses somebody. */
export function readHomes(reading: Reading, policies: readonly Policy[]): readonly HomeEntry[] {
  return [...entriesOfLists(reading, policies), ...entriesOfSets(reading, policies)];
}

/** The kernel lets a source in one tick after the end that it was given, and stamps are whole ticks. In milliseconds, at the slowest rate. */
const tickSlack = 12;

function entriesOfLists({ lists, wallTimeOf, now }: Reading, policies: readonly Policy[]): readonly HomeEntry[] {
  return lists.names().flatMap((name) => {
    const home = parseBanHomeName("recent", name, policies);
    if (!home) return [];
    const { seconds } = home;
    return (lists.read(name) ?? []).flatMap(({ address, lastSeen }) => {
      const lastSeenAt = wallTimeOf(lastSeen);
      const end = seconds === null ? null : lastSeenAt + seconds * 1000 + tickSlack;
      if (end !== null && end <= now) return [];
      return [
        {
          name,
          home,
          address: withPrefix(address, home.prefix),
          end: end === null ? null : { earliest: end, latest: end },
          lastSeenAt,
        },
      ];
    });
  });
}

function entriesOfSets(reading: Reading, policies: readonly Policy[]): readonly HomeEntry[] {
  const { sets, before, after, now } = reading;
  const attempts = attemptsIn(reading);
  return [...(sets?.values() ?? [])].flatMap(({ name, entries }) => {
    const home = parseBanHomeName("ipset", name, policies);
    if (!home) return [];
    return [...entries.values()].flatMap(({ address, secondsLeft }): HomeEntry[] => {
      const left = secondsLeft ?? 0;
      // The kernel rounds down, but never to zero, which would mean "no end".
      const end = { earliest: before + (left === 1 ? 0 : left * 1000), latest: after + (left + 1) * 1000 };
      const last = home.renewOnAttempt ? attempts(home, address) : undefined;
      const exact = last === undefined ? undefined : last + (home.seconds ?? 0) * 1000 + tickSlack;
      if (last !== undefined && exact !== undefined && exact >= end.earliest - tickSlack && exact <= end.latest + tickSlack) {
        return [
          { name, home, address: withPrefix(address, home.prefix), end: { earliest: exact, latest: exact }, lastSeenAt: last },
        ];
      }
      return end.latest <= now ? [] : [{ name, home, address: withPrefix(address, home.prefix), end, lastSeenAt: null }];
    });
  });
}

/** When a banned source tried last, as far as the list of activity still knows: it is stamped by each attempt. */
function attemptsIn({ lists, wallTimeOf }: Reading): (home: BanHome, address: string) => number | undefined {
  const known = once(() => new Set(lists.names()));
  const stampsOf = memo((key) => {
    const [family, prefix] = key.split("/").map(Number);
    const stamps = new Map<string, number>();
    const name = activityName(family === 4 ? 4 : 6);
    for (const { address, lastSeen } of (known().has(name) && lists.read(name)) || []) {
      const source = withoutPrefix(withPrefix(address, prefix ?? 0));
      stamps.set(source, Math.max(lastSeen, stamps.get(source) ?? 0));
    }
    return stamps;
  });
  return ({ family, prefix }, address) => {
    const jiffies = stampsOf(`${family}/${prefix}`).get(address);
    return jiffies === undefined ? undefined : wallTimeOf(jiffies);
  };
}

/** The network of `prefix` bits whose first address is given. */
export function withPrefix(address: string, prefix: number): string {
  return formatNetwork(maskNetwork(parseNetwork(address), prefix));
}

/** The address under which a network stands in a list or set that knows its prefix length. */
export function withoutPrefix(address: string): string {
  const slash = address.indexOf("/");
  return slash < 0 ? address : address.slice(0, slash);
}
