import type { Policy } from "../../domain/policy.ts";
import { memo } from "../memo.ts";
import { banHomeName, banHomeOf } from "./ban-home.ts";
import { kindOf, type OffenderList, parseOffenderName } from "./names.ts";
import { type HomeEntry, type Reading, withoutPrefix } from "./reading.ts";

/** One packet can stamp two lists a tick apart; two sets that it wrote to can show times a second apart. In milliseconds. */
const samePacket = { stamps: 12, timeouts: 1000 } as const;

/** A policy of whose offenders an address is one, and a time in milliseconds since the epoch. */
interface Sighting {
  readonly policy: string;
  readonly at: number;
}

/** What sources are told apart by. */
type Kind = Pick<OffenderList, "family" | "prefix">;

/** Who was seen over which policy's limit, as the lists and sets of offenders tell. */
export interface OffenderTrace {
  /** The policies whose lists hold the address, and when each list saw it last. @param only the one policy that is asked about, or null */
  stamps(kind: Kind, address: string, only?: string | null): readonly Sighting[];
  /** The policies whose sets hold the address, and when each set will forget it, to a second. */
  timeouts(kind: Kind, address: string): readonly Sighting[];
}

/** Reads each list of offenders at most once, and only when somebody asks: there can be thousands, and thousands who ask. */
export function traceOffenders({ lists, sets, wallTimeOf, before }: Reading): OffenderTrace {
  return {
    stamps: sightings(lists.names, (name) =>
      (lists.read(name) ?? []).map(({ address, lastSeen }) => ({ address, at: wallTimeOf(lastSeen) })),
    ),
    timeouts: sightings(
      () => [...(sets?.keys() ?? [])],
      (name) =>
        [...(sets?.get(name)?.entries.values() ?? [])].map(({ address, secondsLeft }) => ({
          address,
          at: before + (secondsLeft ?? 0) * 1000,
        })),
    ),
  };
}

function sightings(
  names: () => readonly string[],
  entriesIn: (name: string) => readonly { readonly address: string; readonly at: number }[],
): (kind: Kind, address: string, only?: string | null) => readonly Sighting[] {
  const homes = memo((kind: string) => {
    const lists = names().flatMap((name) => {
      const list = parseOffenderName(name);
      return list !== undefined && kindOf(list) === kind ? [[list.policy, name] as const] : [];
    });
    return new Map(lists);
  });
  const timesIn = memo((name: string) => new Map(entriesIn(name).map(({ address, at }) => [address, at])));
  const byAddress = memo((kind: string) => {
    const found = new Map<string, Sighting[]>();
    for (const [policy, name] of homes(kind)) {
      for (const [address, at] of timesIn(name)) {
        const others = found.get(address);
        if (others) others.push({ policy, at });
        else found.set(address, [{ policy, at }]);
      }
    }
    return found;
  });
  return (kind, address, only = null) => {
    const source = withoutPrefix(address);
    if (only === null) return byAddress(kindOf(kind)).get(source) ?? [];
    const at = timesIn(homes(kindOf(kind)).get(only) ?? "").get(source);
    return at === undefined ? [] : [{ policy: only, at }];
  };
}

/** Tells which policies write to an entry's home. */
export type Writers = (entry: HomeEntry) => ReadonlySet<string>;

export function writersAmong(policies: readonly Policy[]): Writers {
  const namesByHome = memo((kind: string) => {
    const [family, storage] = kind.split("/");
    const found = new Map<string, Set<string>>();
    for (const policy of policies) {
      const own = banHomeOf(policy, family === "4" ? 4 : 6, storage === "ipset");
      if (own === undefined) continue;
      const home = banHomeName(own);
      found.set(home, (found.get(home) ?? new Set()).add(policy.name));
    }
    return found;
  });
  return ({ home, name }) => namesByHome(`${home.family}/${home.storage}`).get(name) ?? new Set();
}

/**
 * The policies because of which an entry is there: those whose offenders were written down by the same packet; where that trace
 * is lost, those that write to this home.
 * @param began when the entry was made, in milliseconds since the epoch, if that is known exactly
 */
export function causesOf(
  entry: HomeEntry,
  began: number | null,
  writers: ReadonlySet<string>,
  trace: OffenderTrace,
): readonly string[] {
  const { policy } = entry.home;
  if (policy !== null) return [policy];
  const isWriter = (sighting: Sighting): boolean => writers.has(sighting.policy);
  return tracedTo(entry, began, trace, isWriter) ?? tracedTo(entry, began, trace, () => true) ?? [...writers];
}

/** Those policies whose lists or sets were written to by the packet that made the entry. */
function tracedTo(
  { home, address, end }: HomeEntry,
  began: number | null,
  trace: OffenderTrace,
  isCandidate: (sighting: Sighting) => boolean,
): readonly string[] | undefined {
  const policiesAt = (seen: readonly Sighting[], time: number, tolerance: number): readonly string[] =>
    seen.filter((one) => isCandidate(one) && Math.abs(one.at - time) <= tolerance).map(({ policy }) => policy);
  const stamped = began === null ? [] : policiesAt(trace.stamps(home, address), began, samePacket.stamps);
  if (stamped.length > 0) return stamped;
  const timed = end === null ? [] : policiesAt(trace.timeouts(home, address), end.earliest, samePacket.timeouts);
  return timed.length > 0 ? timed : undefined;
}
