import type { Offender } from "../domain/policy.ts";
import type { ViewedBan } from "../domain/ports.ts";
import type { LedgerBan } from "./bans/ban-ledger.ts";
import { parseOffenderName } from "./bans/names.ts";
import { type Reading, withPrefix } from "./bans/reading.ts";
import type { SavedSet } from "./ipset/saved-sets.ts";

/** When a source was seen, to a second; the same at each reading as long as nothing says otherwise, so that pages of a list fit together. */
interface Estimate {
  readonly at: number;
  readonly earliest: number;
  readonly latest: number;
}

/** How far readings of one time can lie apart, in milliseconds, as sets tell whole seconds. */
const refinement = 1500;

/** Reads the sources seen over a policy's limit. */
export interface OffenderReader {
  /**
   * Newest first: from the policy's list, which knows each last time to a tick but holds few, and from its set, which holds many but
   * knows only when it will forget them.
   * @param bans the bans that run now
   * @param memory how long the policy's set remembers, in seconds
   */
  read(reading: Reading, policy: string, bans: readonly (ViewedBan & LedgerBan)[], memory: number): readonly Offender[];
}

export function createOffenderReader(): OffenderReader {
  const estimates = new Map<string, ReadonlyMap<string, Estimate>>();

  const estimated = (
    { before, after, now }: Reading,
    set: SavedSet,
    prefix: number,
    memory: number,
  ): ReadonlyMap<string, Estimate> => {
    const known = estimates.get(set.name);
    const present = new Map<string, Estimate>();
    for (const { address, secondsLeft } of set.entries.values()) {
      const source = withPrefix(address, prefix);
      const ago = (memory - (secondsLeft ?? 0)) * 1000;
      const [earliest, latest] = [before - ago, Math.min(now, after - ago + 1000)];
      const earlier = known?.get(source);
      const same = earlier !== undefined && earlier.earliest <= latest && earliest <= earlier.latest;
      present.set(source, same ? earlier : { at: Math.round((earliest + latest) / 2), earliest, latest });
    }
    estimates.set(set.name, present);
    return present;
  };

  const fromSets = (reading: Reading, policy: string, memory: number): readonly (readonly [string, number])[] =>
    [...(reading.sets ?? [])].flatMap(([name, set]) => {
      const list = parseOffenderName(name);
      if (list?.policy !== policy) return [];
      return [...estimated(reading, set, list.prefix, memory)].map(([source, { at }]) => [source, at] as const);
    });

  const lasting = new Map<string, ReadonlyMap<string, number>>();

  /** A time that is only known better than before stays what it was: it is the order of the list. */
  const steady = (policy: string, seen: ReadonlyMap<string, number>): Map<string, number> => {
    const before = lasting.get(policy);
    const now = new Map(
      [...seen].map(([source, at]) => {
        const given = before?.get(source);
        return [source, given !== undefined && Math.abs(given - at) <= refinement ? given : at] as const;
      }),
    );
    lasting.set(policy, now);
    return new Map(now);
  };

  /** What was remembered of policies and sets that are gone. */
  const forgetGone = ({ lists, sets }: Reading): void => {
    const names = [...lists.names(), ...(sets?.keys() ?? [])];
    const policies = new Set(names.map((name) => parseOffenderName(name)?.policy));
    for (const policy of lasting.keys()) if (!policies.has(policy)) lasting.delete(policy);
    for (const name of estimates.keys()) if (sets?.has(name) !== true) estimates.delete(name);
  };

  return {
    read: (reading, policy, bans, memory) => {
      forgetGone(reading);
      const own = bans.filter((ban) => ban.policies.includes(policy));
      const [lastAttempt, bannedUntil] = [new Map<string, number>(), new Map<string, number>()];
      for (const { address, expiresAt, lastSeenAt } of own) {
        lastAttempt.set(address, Math.max(lastSeenAt, lastAttempt.get(address) ?? 0));
        bannedUntil.set(address, Math.max(expiresAt, bannedUntil.get(address) ?? 0));
      }
      const seen = steady(policy, new Map([...fromSets(reading, policy, memory), ...lastAttempt]));
      const first = new Map(own.map((ban) => [ban.address, ban.since]));
      // What the list knows it knows to a tick; a banned source may have tried again since.
      for (const { source, firstSeenAt, lastSeenAt } of fromLists(reading, policy)) {
        seen.set(source, Math.max(lastSeenAt, lastAttempt.get(source) ?? 0));
        first.set(source, Math.min(firstSeenAt, first.get(source) ?? firstSeenAt));
      }
      return [...seen]
        .map(([source, lastSeenAt]): Offender => {
          const firstSeenAt = Math.min(lastSeenAt, first.get(source) ?? lastSeenAt);
          return { source, firstSeenAt, lastSeenAt, bannedUntil: bannedUntil.get(source) ?? null };
        })
        .sort((a, b) => b.lastSeenAt - a.lastSeenAt || (a.source < b.source ? -1 : 1));
    },
  };
}

function fromLists(
  { lists, wallTimeOf }: Reading,
  policy: string,
): readonly Pick<Offender, "source" | "firstSeenAt" | "lastSeenAt">[] {
  return lists.names().flatMap((name) => {
    const list = parseOffenderName(name);
    if (list?.policy !== policy) return [];
    return (lists.read(name) ?? []).map(({ address, lastSeen, stamps }) => ({
      source: withPrefix(address, list.prefix),
      firstSeenAt: wallTimeOf(stamps[0] ?? lastSeen),
      lastSeenAt: wallTimeOf(lastSeen),
    }));
  });
}
