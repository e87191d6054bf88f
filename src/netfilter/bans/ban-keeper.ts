import { createExclusive } from "../../domain/exclusive.ts";
import { contains, formatNetwork, maskNetwork, type Network, parseAddress, parseNetwork } from "../../domain/network.ts";
import type { Policy } from "../../domain/policy.ts";
import type { Desired } from "../../domain/ports.ts";
import type { IpSets } from "../ipset/sets.ts";
import type { KernelLists } from "../kernel-lists.ts";
import { memo } from "../memo.ts";
import type { RecentLists } from "../recent/list-files.ts";
import { type BanLedger, createBanLedger, type LedgerBan, type LedgerState, standingCauses } from "./ban-ledger.ts";
import { activityName, kindOf, parseOffenderName } from "./names.ts";
import { type Reading, withoutPrefix } from "./reading.ts";
import type { ListWrite } from "./timed-entries.ts";

export interface BanKeeperOptions {
  readonly lists: RecentLists;
  readonly sets: IpSets;
  readonly kernelLists: KernelLists;
  readonly protectedNetworks: readonly Network[];
}

/** A reading, what it says, and the bans that go on running. */
export interface KeptBans {
  readonly reading: Reading;
  readonly state: LedgerState;
  readonly running: readonly LedgerBan[];
  readonly removals: Removals;
}

/** Entries that are taken out before anything else is written. */
export interface Removals {
  readonly ended: ReadonlySet<LedgerBan>;
  /** Lines for `ipset restore`. */
  readonly ipset: readonly string[];
  readonly recent: readonly ListWrite[];
  /** Entries that nobody knows, in words. */
  readonly found: readonly string[];
}

/** Knows the bans that the kernel made by itself, and ends those that nothing stands for. */
export interface BanKeeper {
  readonly ledger: Pick<BanLedger, "recall" | "bans" | "moved">;
  /** Looks, and takes out what was lifted, what no policy stands for and what nobody knows. @throws {EnforcementDelayed} */
  settle(desired: Desired, fresh: boolean): Promise<KeptBans>;
  /**
   * Looks only, and says what `settle` would do; by default about the policies of the last one.
   * @param assertWanted throws when nobody wants to know any more by the time that it is this look's turn
   * @throws {EnforcementDelayed}
   */
  look(desired?: Desired, assertWanted?: () => void): Promise<KeptBans>;
  /** The policies that the last `settle` was about. */
  policies(): readonly Policy[];
  isProtected(address: string): boolean;
  /** True when a packet went over some limit since the last `settle`. */
  activity(): boolean;
}

/** Texts of entries, in a set or a list. */
type Entries = ReadonlySet<string> | ReadonlyMap<string, unknown>;

/** What is in both, at the cost of the smaller one. */
function common(some: Entries, others: Entries = new Set()): readonly string[] {
  const [few, many] = some.size < others.size ? [some, others] : [others, some];
  return [...few.keys()].filter((entry) => many.has(entry));
}

export function createBanKeeper({ lists, sets, kernelLists, protectedNetworks }: BanKeeperOptions): BanKeeper {
  const ledger = createBanLedger();
  /** A reading and what follows from it must not meet another one's removals half way. */
  const exclusive = createExclusive();
  let present: readonly Policy[] = [];
  let activitySeen = "";

  const isProtected = (address: string): boolean => {
    const network = parseNetwork(address);
    return protectedNetworks.some((outer) => contains(outer, network));
  };

  const stands = (ban: LedgerBan, policies: readonly Policy[]): boolean =>
    standingCauses(ban, policies).length > 0 && !isProtected(ban.address);

  /** Bans that were made under a policy's earlier terms are read with those. */
  const observe = (reading: Reading, policies: readonly Policy[]): LedgerState => {
    return ledger.observe(reading, [...policies, ...present.filter((policy) => !policies.includes(policy))]);
  };

  /**
   * Whether any of these can be in a list of offenders: the packet that puts a source there puts it into the list of activity first, which forgets
   * none before it is full.
   */
  const someWereActive = (kind: string, wanted: ReadonlySet<string>): boolean => {
    const [family, prefix] = kind.split("/").map(Number);
    const active = lists.read(activityName(family === 4 ? 4 : 6));
    if (active === undefined || active.length >= lists.capacity()) return true;
    return active.some(({ address }) =>
      wanted.has(withoutPrefix(formatNetwork(maskNetwork(parseAddress(address), prefix ?? 0)))),
    );
  };

  /** Entries of these addresses in lists and sets of offenders. Each policy can have some, and a batch ten thousand addresses. */
  const tracesOf = (addresses: readonly string[], { sets: saved }: Reading, held: (home: string) => ReadonlySet<string>) => {
    if (addresses.length === 0) return [];
    const byKind = Map.groupBy(addresses, (address) => kindOf(parseNetwork(address)));
    const wantedOf = memo((kind: string) => new Set(byKind.get(kind)?.map(withoutPrefix)));
    const mayBeListed = memo((kind: string) => someWereActive(kind, wantedOf(kind)));
    return [...new Set([...lists.names(), ...(saved?.keys() ?? [])])].flatMap((home) => {
      const list = parseOffenderName(home);
      if (list === undefined) return [];
      const wanted = wantedOf(kindOf(list));
      if (wanted.size === 0) return [];
      const listed = mayBeListed(kindOf(list)) ? common(wanted, held(home)) : [];
      const present = new Set([...common(wanted, saved?.get(home)?.entries), ...listed]);
      return [...present].map((entry) => [home, entry] as const);
    });
  };

  /** What has to be taken out: what was lifted, what no policy stands for, what nobody knows. */
  const removalsOf = (desired: Desired, reading: Reading, state: LedgerState): Removals => {
    const lifted = new Set(desired.lifts);
    const ended = new Set(state.bans.filter((ban) => lifted.has(ban.address) || !stands(ban, desired.policies)));
    const strays = state.strays.map(({ name, address }) => ({ home: name, address }));
    const held = memo((home: string) => new Set(lists.read(home)?.map((entry) => entry.address)));
    const known = [...ended, ...strays].map(({ home, address }) => [home, withoutPrefix(address)] as const);
    const entries = [...known, ...tracesOf(desired.lifts, reading, held)];
    return {
      ended,
      found: strays.map(({ home, address }) => `unknown entry ${address} in ${home}`),
      ipset: entries.flatMap(([home, entry]) => (reading.sets?.get(home)?.entries.has(entry) ? [`del ${home} ${entry}`] : [])),
      recent: entries.flatMap(([list, entry]) => (held(list).has(entry) ? [{ list, write: `-${entry}` }] : [])),
    };
  };

  return {
    ledger,
    settle: (desired, fresh) =>
      exclusive(async () => {
        const reading = await kernelLists.read(fresh);
        activitySeen = reading.activity;
        const state = observe(reading, desired.policies);
        const removals = removalsOf(desired, reading, state);
        const { ended, ipset, recent } = removals;
        if (ipset.length > 0) {
          await sets.restore(ipset);
          kernelLists.wrote(ipset);
        }
        for (const { list, write } of recent) lists.write(list, write);
        for (const ban of ended) ledger.forget(ban);
        present = desired.policies;
        return { reading, state, running: state.bans.filter((ban) => !ended.has(ban)), removals };
      }),
    look: (desired, assertWanted) =>
      exclusive(async () => {
        assertWanted?.();
        const reading = await kernelLists.read(false);
        const state = observe(reading, present);
        const removals = removalsOf(desired ?? { policies: present, operatorBans: [], lifts: [], graces: [] }, reading, state);
        return { reading, state, running: state.bans.filter((ban) => !removals.ended.has(ban)), removals };
      }),
    policies: () => present,
    isProtected,
    activity: () => kernelLists.activityMark() !== activitySeen,
  };
}
