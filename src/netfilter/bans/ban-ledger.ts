import type { KernelBan } from "../../domain/ban.ts";
import { parseNetwork } from "../../domain/network.ts";
import type { Policy } from "../../domain/policy.ts";
import { isExempt, policyNamed } from "../../domain/policy.ts";
import { causesOf, type OffenderTrace, traceOffenders, type Writers, writersAmong } from "./attribution.ts";
import { banHomeOf } from "./ban-home.ts";
import { type HomeEntry, type Reading, readHomes } from "./reading.ts";

/** Times of one ban that differ by no more than this, in milliseconds, are one time read twice. */
const tolerance = 1200;
/** The same for ends that are known to a tick. */
const sameStamp = 20;
/** An end is known well enough when it lies in an interval of this many milliseconds. */
const precise = 280;

/** A ban that the kernel made, as the ledger knows it. */
export interface LedgerBan extends KernelBan {
  /** Whether the kernel holds it, by the last reading. */
  readonly present: boolean;
  readonly lastSeenAt: number;
}

/** What a reading says. */
export interface LedgerState {
  readonly bans: readonly LedgerBan[];
  /** Entries of lists that only this service writes to, which it does not know. */
  readonly strays: readonly HomeEntry[];
  /** True while some end is known to a second only; another reading soon makes it precise. */
  readonly imprecise: boolean;
}

/** Remembers the bans that the kernel made by itself, so that they can be told from those that were lost. */
export interface BanLedger {
  /** Takes over what an earlier process knew. */
  recall(bans: readonly KernelBan[]): void;
  /** Compares a reading with what is known; new bans are written down, ended ones forgotten. */
  observe(reading: Reading, policies: readonly Policy[]): LedgerState;
  /** All that run. */
  bans(): readonly KernelBan[];
  /** Forgets a ban that was lifted. */
  forget(ban: KernelBan): void;
  /** Says that a ban now stands in another home. Its end stays what it was, although a set took only whole seconds of it. */
  moved(ban: KernelBan, home: string): void;
}

/** A moment lies between these two, in milliseconds since the epoch. */
interface Interval {
  readonly earliest: number;
  readonly latest: number;
}

/** A ban, and between which moments it ends. */
interface Known extends Interval {
  readonly ban: KernelBan;
}

/** What one look goes by. */
interface Scene {
  readonly trace: OffenderTrace;
  readonly reading: Reading;
  readonly policies: readonly Policy[];
  readonly writers: Writers;
}

export function createBanLedger(): BanLedger {
  const known = new Map<string, Known>();
  let previous = 0;
  let offset: number | undefined;

  const remember = (ban: KernelBan, earliest: number, latest: number): Known => {
    const entry = { ban, earliest, latest };
    known.set(keyOf(ban.home, ban.address), entry);
    return entry;
  };

  /** Somebody set the wall clock: bans end when they would have, at another time of day. */
  const shift = (by: number): void => {
    previous += by;
    for (const { ban, earliest, latest } of [...known.values()]) {
      remember(
        { ...ban, since: Math.round(ban.since + by), expiresAt: Math.round(ban.expiresAt + by) },
        earliest + by,
        latest + by,
      );
    }
  };

  /** Follows the wall clock, and forgets what has ended. */
  const keepTime = ({ clockOffset, now }: Reading): void => {
    if (offset !== undefined && offset !== clockOffset) shift(clockOffset - offset);
    offset = clockOffset;
    for (const [key, { ban }] of known) if (ban.expiresAt <= now) known.delete(key);
  };

  /** The same ban as before, its end perhaps known better, or later after another attempt; undefined when this is another one. */
  const recognised = ({ home, end }: HomeEntry, before: Known, reading: Reading): Known | undefined => {
    if (end === null) return before;
    const slack = slackOf(end, home.renewOnAttempt);
    if (end.latest < before.earliest - tolerance) return undefined;
    if (end.earliest > before.latest + slack) {
      if (!home.renewOnAttempt) return undefined;
      const renewed = narrowed(end, home.seconds, previous, reading.after);
      return remember({ ...before.ban, expiresAt: middleOf(renewed) }, renewed.earliest, renewed.latest);
    }
    const closer = { earliest: Math.max(before.earliest, end.earliest), latest: Math.min(before.latest, end.latest) };
    if (closer.earliest > closer.latest || widthOf(closer) >= widthOf(before)) return before;
    const expiresAt = middleOf(closer);
    const since = home.renewOnAttempt ? before.ban.since : before.ban.since + expiresAt - before.ban.expiresAt;
    return remember({ ...before.ban, expiresAt, since }, closer.earliest, closer.latest);
  };

  /** A ban that was not known, or not in these terms. */
  const discovered = (entry: HomeEntry, scene: Scene): Known | "over" | undefined => {
    const { reading, policies } = scene;
    const { name, home, address, end, lastSeenAt } = entry;
    if (end === null) return undefined;
    const stamped = end.earliest === end.latest ? undefined : exactBeginning(entry, scene);
    if (stamped) {
      const { at: since, end: expiresAt, policies: causes } = stamped;
      return expiresAt <= reading.now
        ? "over"
        : remember({ home: name, address, policies: causes, since, expiresAt }, expiresAt, expiresAt);
    }
    const began = home.renewOnAttempt ? latestStamp(entry, scene) : lastSeenAt;
    const causes = causesOf(entry, began, scene.writers(entry), scene.trace);
    const seconds = home.seconds ?? secondsOf(causes, policies);
    // No packet can have made a ban that lasts longer than any policy bans: somebody put it there.
    if (seconds !== null && end.earliest > reading.now + seconds * 1000 + tolerance) return undefined;
    const { earliest, latest } = narrowed(end, seconds, previous, reading.after);
    const expiresAt = middleOf({ earliest, latest });
    // A reading of a while ago still shows what has ended since.
    if (expiresAt <= reading.now) return "over";
    const since = began ?? (seconds === null ? reading.after : expiresAt - seconds * 1000);
    return remember({ home: name, address, policies: causes, since: Math.round(since), expiresAt }, earliest, latest);
  };

  return {
    recall: (bans) => {
      for (const ban of bans) remember(ban, ban.expiresAt, ban.expiresAt);
    },
    observe: (reading, policies) => {
      keepTime(reading);
      const scene = { trace: traceOffenders(reading), reading, policies, writers: writersAmong(policies) };
      const present = new Map<string, number>();
      const strays: HomeEntry[] = [];
      for (const entry of readHomes(reading, policies)) {
        const key = keyOf(entry.name, entry.address);
        const before = known.get(key);
        const now = before && (recognised(entry, before, reading) ?? longer(entry, before));
        const ban = now ?? discovered(entry, scene);
        if (!ban) strays.push(entry);
        else if (ban === "over" || (now !== undefined && longer(entry, now))) continue;
        else present.set(key, entry.lastSeenAt ?? ban.ban.since);
      }
      previous = reading.before;
      const entries = [...known];
      return {
        bans: entries.map(([key, { ban }]) => ({ ...ban, present: present.has(key), lastSeenAt: present.get(key) ?? ban.since })),
        strays,
        imprecise: entries.some(([, { earliest, latest }]) => latest - earliest > precise),
      };
    },
    bans: () => [...known.values()].map(({ ban }) => ban),
    forget: (ban) => {
      known.delete(keyOf(ban.home, ban.address));
    },
    moved: ({ home: before, address, policies, since, expiresAt }, home) => {
      known.delete(keyOf(before, address));
      remember({ home, address, policies, since, expiresAt }, expiresAt, expiresAt);
    },
  };
}

/** Those of a ban's causes that stand: policies that enforce a ban and do not exempt the source. */
export function standingCauses(ban: KernelBan, policies: readonly Policy[]): readonly string[] {
  const network = parseNetwork(ban.address);
  return ban.policies.filter((name) => {
    const policy = policyNamed(policies, name);
    return policy !== undefined && policy.mode === "enforce" && policy.ban !== null && !isExempt(policy, network);
  });
}

/** When an entry of a set began, to a tick: a list of offenders that was stamped by the same packet tells. */
function exactBeginning(entry: HomeEntry, { trace, policies, writers }: Scene) {
  const { home, address, end } = entry;
  if (end === null) return undefined;
  const matches = trace.stamps(home, address, home.policy).flatMap(({ policy: name, at }) => {
    const policy = writers(entry).has(name) ? policyNamed(policies, name) : undefined;
    const seconds = policy && banHomeOf(policy, home.family, true) && policy.ban?.seconds;
    if (!seconds) return [];
    const ends = at + seconds * 1000;
    return ends >= end.earliest - 20 && ends <= end.latest + 20 ? [{ policy: name, at, end: ends }] : [];
  });
  // An earlier ban of another policy can end within the same moment; the packet that made this one is the latest.
  const latest = Math.max(...matches.map((match) => match.at));
  const made = matches.filter((match) => latest - match.at <= sameStamp);
  const [first] = made;
  if (!first || (home.policy !== null && first.policy !== home.policy)) return undefined;
  return { at: first.at, end: first.end, policies: home.policy !== null ? [home.policy] : made.map((match) => match.policy) };
}

/** The interval of an end that the kernel rounds to seconds, when the ban of `seconds` began between two readings. */
function narrowed(
  end: { readonly earliest: number; readonly latest: number },
  seconds: number | null,
  previous: number,
  now: number,
) {
  if (end.earliest === end.latest || seconds === null) return end;
  const earliest = Math.max(end.earliest, previous + seconds * 1000);
  const latest = Math.min(end.latest, now + seconds * 1000);
  // A ban that was made under other terms lies outside.
  return earliest <= latest ? { earliest, latest } : end;
}

/** When a policy that writes to the entry's home saw the source last. */
function latestStamp(entry: HomeEntry, { trace, writers }: Scene): number | null {
  const stamps = trace.stamps(entry.home, entry.address, entry.home.policy).filter(({ policy }) => writers(entry).has(policy));
  return stamps.length === 0 ? null : Math.max(...stamps.map(({ at }) => at));
}

/** How far two readings of one end can lie apart, in milliseconds. */
function slackOf(end: Interval, renews: boolean): number {
  if (end.earliest === end.latest) return sameStamp;
  return renews ? 0 : tolerance;
}

function middleOf({ earliest, latest }: Interval): number {
  return Math.round((earliest + latest) / 2);
}

function widthOf({ earliest, latest }: Interval): number {
  return latest - earliest;
}

function secondsOf(causes: readonly string[], policies: readonly Policy[]): number | null {
  const named = new Set(causes);
  const seconds = policies.flatMap((policy) => (named.has(policy.name) && policy.ban !== null ? [policy.ban.seconds] : []));
  return seconds.length === 0 ? null : Math.max(...seconds);
}

/** The kernel holds the ban, but somebody shortened it: what is known counts, and has to be written anew. */
function longer(entry: HomeEntry, before: Known): Known | undefined {
  return entry.end !== null && before.ban.expiresAt > entry.end.latest + tolerance ? before : undefined;
}

function keyOf(home: string, address: string): string {
  return `${home} ${address}`;
}
