import assert from "node:assert/strict";
import type { Grace, OperatorBan } from "../../src/domain/ban.ts";
import { type Family, parseNetwork } from "../../src/domain/network.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { Clock, Desired } from "../../src/domain/ports.ts";
import { banHomeName, banHomeOf } from "../../src/netfilter/bans/ban-home.ts";
import type { RunCommand } from "../../src/netfilter/command/run.ts";
import { createComposedRules } from "../../src/netfilter/composed-rules.ts";
import { createFirewall } from "../../src/netfilter/firewall.ts";
import { createIpSets } from "../../src/netfilter/ipset/sets.ts";
import type { Backend } from "../../src/netfilter/iptables/backend.ts";
import { createKeptListings } from "../../src/netfilter/kept-listings.ts";
import { createFakeRecentLists } from "../support/fake-recent-lists.ts";
import { createSimulatedIpset } from "../support/simulated-ipset.ts";
import { createSimulatedIptables } from "../support/simulated-iptables.ts";
import { simulatedFileRun, simulatedSessions } from "../support/simulated-sessions.ts";
import { rulesOf } from "../support/table-model.ts";
import { createTestClock } from "../support/test-clock.ts";

export function desire(
  policies: readonly Policy[],
  operatorBans: readonly OperatorBan[] = [],
  lifts: readonly string[] = [],
  graces: readonly Grace[] = [],
): Desired {
  return { policies, operatorBans, lifts, graces };
}

/** The list or set into which the policy bans. */
export function banHomeFor(policy: Policy, family: Family = 4, withSets = true): string {
  const home = banHomeOf(policy, family, withSets);
  if (!home) throw new Error(`${policy.name} bans nobody`);
  return banHomeName(home);
}

export interface HostOptions {
  readonly withSets?: boolean;
  readonly backend?: Backend;
  /** A program that is not there. */
  readonly missing?: string;
  /** Whether iptables is asked over sessions, as it is on a real host. */
  readonly withSessions?: boolean;
  /** Whether a timer takes a turn of the event loop, as it does on a real host. */
  readonly withTurns?: boolean;
  /** Where a start leaves its rules for the next one. */
  readonly kept?: Kept;
  readonly onLongWait?: () => void;
  /** Whether the kernel tells how many changes it has taken, and where a start leaves what was listed for the next one. */
  readonly counted?: { text?: string };
}

/** A text that a start leaves for the next one, and how many policies that found as they were when it was written. */
export interface Kept {
  text?: string;
  found?: number;
}

/** A firewall on a simulated host: tables, lists, sets and a clock in memory. Timers fire at once, and time moves on with them. */
export function createHost({
  withSets = true,
  backend = "nft",
  missing,
  withSessions = false,
  withTurns = false,
  kept,
  onLongWait,
  counted,
}: HostOptions = {}) {
  const testClock = createTestClock();
  let wallShift = 0;
  const clock: Clock = {
    ...testClock,
    now: () => testClock.now() + wallShift,
    after: (delay, callback) => {
      const cancel = testClock.after(delay, callback);
      (withTurns ? setImmediate : queueMicrotask)(() => testClock.advance(delay));
      return cancel;
    },
  };
  const lists = createFakeRecentLists({ clock });
  const ipset = createSimulatedIpset({ clock, isReferenced: (name) => kernel.namesSet(name) });
  const kernel = createSimulatedIptables({
    backend,
    onListsNamed: lists.keepOnly,
    hasSet: (name) => ipset.names().includes(name),
  });
  if (!withSets) ipset.setFault("program missing");
  const run: RunCommand = (file, args, input) => (file === "ipset" ? ipset.run : kernel.run)(file, args, input);
  const listed: string[] = [];
  const prepared: string[] = [];
  const open = simulatedSessions(
    run,
    ({ input = "" }) => void listed.push(...(input.match(/^-S\b.*$/gm) ?? [])),
    (file) => void prepared.push(file),
  );
  const runIntoFile = simulatedFileRun(run);
  const protectedNetworks = ["127.0.0.0/8", "::1"].map(parseNetwork);
  const composedIn = (place: Kept) => {
    const write = async (text: string): Promise<void> => {
      place.text = text;
    };
    const onFailure = (error: unknown): void => {
      throw error;
    };
    const composed = createComposedRules({ file: { read: () => place.text, write }, madeBy: "this", backend, clock, onFailure });
    const known: typeof composed.known = (policies) => {
      const found = composed.known(policies);
      place.found = found?.current.size ?? 0;
      return found;
    };
    return { ...composed, known };
  };
  const listingsIn = (place: NonNullable<HostOptions["counted"]>) =>
    createKeptListings({
      file: {
        read: () => place.text,
        write: async (text) => {
          place.text = text;
        },
        remove: async () => {
          delete place.text;
        },
      },
      place: "here",
      onFailure: assert.ifError,
    });
  const generation = { current: async () => kernel.generation(), prepare: () => undefined };
  const start = () =>
    createFirewall({
      backend,
      version: async () => "1.8.9",
      protectedNetworks,
      run,
      isThere: (program) => program !== missing,
      lists,
      sets: createIpSets({ run, ...(withSessions && { open, runIntoFile }) }),
      ...(withSessions && { sessions: { open, runIntoFile, lockHeld: async () => false } }),
      ...(kept && { composed: composedIn(kept) }),
      ...(onLongWait && { onLongWait }),
      ...(counted && { generation, listings: listingsIn(counted) }),
      clock,
    });
  const firewall = start();
  const nameFor = (policy: Policy, family: Family) => banHomeFor(policy, family, withSets);
  return {
    clock: { now: clock.now, monotonic: clock.monotonic, advance: testClock.advance },
    setWallClock: (by: number) => {
      wallShift += by;
    },
    lists,
    ipset,
    kernel,
    /** What was asked of sessions: `-S` for all rules of a family, `-S CHAIN` for those of one. */
    listed,
    /** Programs that were started ahead, to be asked later. */
    prepared,
    firewall,
    /** The same host with a service that remembers nothing. */
    restarted: start,
    bans: async () => (await firewall.view()).policyBans,
    bannedAddresses: async () => (await firewall.view()).policyBans.map((ban) => ban.address),
    /** A packet of `source`, as a list's mask leaves it, goes over the policy's limit and meets the rules that the kernel has for that. */
    offend: (policy: Policy, source: string, family: Family = 4) => {
      for (const text of rulesOf(kernel.table(family), `CLD-O-${policy.name}`)) {
        if (!matchesOf(text).every(holds)) continue;
        const [, set, seconds] = / --add-set (\S+) src --exist --timeout (\d+)/.exec(text) ?? [];
        if (set !== undefined) ipset.addFromPacket(set, source, Number(seconds));
        if (/ -j (REJECT|DROP)/.test(text)) return;
      }

      function holds({ action = "", list = "", set = "" }: Partial<Record<string, string>>): boolean {
        if (set !== "") return ipset.holds(set, source);
        if (action === "rcheck") return lists.read(list)?.some((entry) => entry.address === source) ?? false;
        lists.stamp(list, source);
        return true;
      }
    },
    /** A banned source tries again; its ban is renewed where the policy says so. */
    attempt: (policy: Policy, source: string, family: Family = 4) => {
      if (withSets) ipset.addFromPacket(nameFor(policy, family), source, policy.ban?.seconds ?? 0);
      else lists.stamp(nameFor(policy, family), source);
    },
    /** Another tool takes a ban out by hand. */
    dropBan: (policy: Policy, source: string, family: Family = 4) => {
      if (withSets) ipset.edit(`del ${nameFor(policy, family)} ${source}`);
      else lists.drop(nameFor(policy, family), source);
    },
    /** What `iptables -L` of an operator's ban list shows, and `ipset list`. */
    operatorBans: (family: Family = 4) => ({
      listed: lists.read(`cld${family}-operator`)?.map((entry) => entry.address),
      inSet: Object.keys(ipset.left(`cld${family}-operator`) ?? {}),
    }),
    /** `iptables -F && iptables -X`, of both families. */
    flush: () => {
      for (const family of [4, 6] as const) {
        const chains = [...kernel.table(family).keys()];
        const own = chains.filter((chain) => !["INPUT", "FORWARD", "OUTPUT"].includes(chain));
        kernel.edit(family, ...chains.map((chain) => `-F ${chain}`), ...own.map((chain) => `-X ${chain}`));
      }
    },
    /** The rules of every chain, as text. */
    rules: (family: Family) =>
      [...kernel.table(family).keys()].map((chain) => [chain, rulesOf(kernel.table(family), chain)] as const),
    /** Whether any rule refuses those in this list or set. */
    isChecked: (name: string, family: Family = 4) =>
      [...kernel.table(family).values()]
        .flat()
        .some(({ text }) => new RegExp(`( --(rcheck|update) .*--name| --match-set) ${name} `).test(text)),
    /** How many programs were started. */
    started: () => kernel.invocations.length + ipset.started(),
    held: (list: string) => lists.read(list)?.map((entry) => entry.address),
  };
}

function matchesOf(text: string): readonly Partial<Record<string, string>>[] {
  const pattern = /-m recent --(?<action>set|rcheck)\b.*? --name (?<list>\S+)|--match-set (?<set>\S+) src/g;
  return [...text.matchAll(pattern)].map((match) => match.groups ?? {});
}
