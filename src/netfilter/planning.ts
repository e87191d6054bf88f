import type { KernelBan } from "../domain/ban.ts";
import type { Family, Network } from "../domain/network.ts";
import { type Policy, policyNamed } from "../domain/policy.ts";
import type { Desired } from "../domain/ports.ts";
import type { Steps } from "../domain/steps.ts";
import { type BanHome, banHomeName, banHomeOf, heldHomeOf, parseBanHomeName } from "./bans/ban-home.ts";
import { type LedgerBan, standingCauses } from "./bans/ban-ledger.ts";
import { graceListName, graceSetName, offenderListOf, operatorName } from "./bans/names.ts";
import { withoutPrefix } from "./bans/reading.ts";
import { type EntryPlan, type ListWrite, planEntries, type WrittenEnds } from "./bans/timed-entries.ts";
import type { SavedSet } from "./ipset/saved-sets.ts";
import { type SetDefinition, setDefinitions } from "./ipset/set-definitions.ts";
import { banHomes } from "./iptables/ban-rules.ts";
import { ruleText } from "./iptables/rule-text.ts";
import { chainsOfPolicy, compileRuleset, hasChains } from "./iptables/ruleset.ts";
import type { SavedTable } from "./iptables/saved-table.ts";
import { diffTable } from "./iptables/table-diff.ts";
import type { Plan, Return } from "./plan.ts";
import type { RecentLists } from "./recent/list-files.ts";

export const families = [4, 6] as const satisfies readonly Family[];

/** What a plan starts from. */
export interface Actual {
  readonly tables: Readonly<Record<Family, SavedTable>>;
  /** Null where ipset is not there. */
  readonly sets: ReadonlyMap<string, SavedSet> | null;
  readonly lists: RecentLists;
  /** The bans that go on running, some of which the kernel may have lost. */
  readonly running: readonly LedgerBan[];
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** When the sets were read. */
  readonly readAt: number;
  readonly writtenEnds: WrittenEnds;
  readonly protectedNetworks: readonly Network[];
  /** Sets that can't be destroyed, as rules of others name them. */
  readonly stuckSets: ReadonlySet<string>;
}

/** Whether the tables have all chains that are in the kernel. */
export function isWhole(tables: Actual["tables"]): boolean {
  return families.every((family) => tables[family].standing === undefined);
}

/** Without the policies that the kernel refuses. */
export function acceptable(desired: Desired): Desired {
  const { policies, withheld } = desired;
  return withheld === undefined ? desired : { ...desired, policies: policies.filter(({ name }) => !withheld.has(name)) };
}

/**
 * Where each lost ban is put back: a set takes the time that is left, a list needs one whose entries the service ends. Those that
 * run longest come first; where a list is full, the rest stays lost.
 */
export function returnsOf(
  desired: Desired,
  { running, now, sets, lists }: Pick<Actual, "running" | "now" | "sets" | "lists">,
): readonly Return[] {
  const worthIt = running.filter((ban) => ban.expiresAt - now >= 1000).sort((a, b) => b.expiresAt - a.expiresAt);
  const room = new Map<string, number>();
  return worthIt.flatMap((ban) => {
    const present = homeOf(ban, desired);
    const better = present && betterHome(ban, present, desired, sets !== null);
    const before = better ?? present;
    if (before === undefined || (ban.present && better === undefined)) return [];
    const home = heldHomeOf(before, sets !== null);
    if (home.storage === "ipset") return [{ ban, home }];
    const name = banHomeName(home);
    const left = room.get(name) ?? lists.capacity() - (lists.read(name)?.length ?? 0);
    room.set(name, left - 1);
    return left > 0 ? [{ ban, home }] : [];
  });
}

/** A home with other exemptions, when those of the ban's policy have changed since it was made. */
function betterHome(ban: LedgerBan, home: BanHome, desired: Desired, withSets: boolean): BanHome | undefined {
  for (const name of standingCauses(ban, desired.policies)) {
    const policy = policyNamed(desired.policies, name);
    const own = policy && banHomeOf(policy, home.family, withSets);
    const alike = own?.scope === home.scope && own.prefix === home.prefix && own.storage === home.storage;
    if (!alike || own.exemptions === home.exemptions) continue;
    const better = { ...home, exemptions: own.exemptions };
    if (banHomeName(better) !== ban.home) return better;
  }
  return undefined;
}

/** The homes that rules have to look at although no policy writes to them any more. */
export function retiredHomes(running: readonly LedgerBan[], returns: readonly Return[], desired: Desired): readonly BanHome[] {
  const moved = new Set(returns.map(({ ban }) => ban));
  const staying = running.filter((ban) => !moved.has(ban)).flatMap((ban) => homeOf(ban, desired) ?? []);
  const homes = [...staying, ...returns.map(({ home }) => home)];
  return [...new Map(homes.map((home) => [banHomeName(home), home])).values()];
}

/**
 * Composes the rules of policies, which are then remembered: thousands of them are so ready when the kernel has listed those that it has.
 * @param standing policies that are expected to need none
 */
export function composeRules(
  { policies }: Desired,
  protectedNetworks: readonly Network[],
  standing: ReadonlySet<string> | undefined,
): void {
  for (const family of families) {
    const rest = standing && { standing };
    const chains = compileRuleset({ family, policies, protectedNetworks, withSets: true, retired: [], ...rest });
    for (const rules of chains.values()) for (const rule of rules) ruleText(rule, family);
  }
}

/**
 * Like `planPass`, for a kernel in which any change of the table forgets what its rules have counted: homes whose last ban has
 * ended stay until there is another reason to write.
 */
export function* planSparingly(desired: Desired, actual: Actual): Steps<Plan> {
  const lists = actual.lists.names().flatMap((name) => parseBanHomeName("recent", name, desired.policies) ?? []);
  const sets = [...(actual.sets?.keys() ?? [])].flatMap((name) => parseBanHomeName("ipset", name, desired.policies) ?? []);
  const filled = homesFilled(desired, actual.sets !== null);
  const lingering = [...lists, ...sets].filter((home) => !filled.has(banHomeName(home)));
  if (lingering.length === 0) return yield* planPass(desired, actual);
  const lazy = yield* planPass(desired, actual, lingering);
  return lazy.tables[4].length + lazy.tables[6].length === 0 ? lazy : yield* planPass(desired, actual);
}

/** The names of the homes that policies put their bans into. */
function homesFilled({ policies }: Desired, withSets: boolean): ReadonlySet<string> {
  const active = policies.filter((policy) => policy.mode !== "off");
  const homes = families.flatMap((family) => active.flatMap((policy) => banHomeOf(policy, family, withSets) ?? []));
  return new Set(homes.map(banHomeName));
}

/**
 * The smallest set of writes that makes the kernel hold `desired`. Pure but for reading the lists.
 * @param lingering homes that stay although they are empty
 */
export function* planPass(desired: Desired, actual: Actual, lingering: readonly BanHome[] = []): Steps<Plan> {
  const { sets, running, now } = actual;
  const returns = returnsOf(desired, actual);
  const withSets = sets !== null;
  const retired = [...lingering, ...retiredHomes(running, returns, desired)].filter(
    (home) => withSets || home.storage === "recent",
  );
  const definitions = withSets ? families.flatMap((family) => definitionsOf(family, desired, retired)) : [];
  const entries = yield* planTimedEntries(desired, actual);
  const put = returns.map(({ ban, home }) => putBack(ban, home, now));
  const moved = returns.flatMap(({ ban }) => (running.some((one) => one === ban && one.present) ? [takeOut(ban, sets)] : []));
  const ruleset = { policies: desired.policies, protectedNetworks: actual.protectedNetworks, withSets, retired };
  const chainsOf = (family: Family) => {
    const { standing } = actual.tables[family];
    return compileRuleset({ family, ...ruleset, ...(standing && { standing }) });
  };
  yield* composeInSteps(desired.policies, actual);
  const chains = { 4: chainsOf(4), 6: chainsOf(6) };
  const changeOf = (family: Family) => diffTable(actual.tables[family], chains[family], family);
  yield;
  const four = changeOf(4);
  yield;
  const tables = { 4: four, 6: changeOf(6) };
  yield;
  const missing = definitions.filter(({ name }) => !sets?.has(name));
  const wanted = new Map(definitions.map((definition) => [definition.name, definition]));
  const obsolete = [...(sets?.keys() ?? [])].filter((name) => !wanted.has(name) && !actual.stuckSets.has(name));
  return {
    ipset: [
      ...missing.map(lineOf),
      ...put.flatMap((one) => one.ipset),
      ...moved.flatMap((one) => one.ipset),
      ...entries.flatMap((plan) => plan.ipset),
    ],
    tables: { 4: tables[4].lines, 6: tables[6].lines },
    recent: [
      ...put.flatMap((one) => one.recent),
      ...moved.flatMap((one) => one.recent),
      ...entries.flatMap((plan) => plan.recent),
    ],
    obsoleteSets: obsolete,
    misshapenSets: [...(sets?.values() ?? [])]
      .filter(({ name, shape }) => wanted.has(name) && wanted.get(name)?.shape !== shape)
      .map(({ name }) => name),
    returns,
    chains,
    isWhole: isWhole(actual.tables),
    ruleset,
    found: [
      ...missing.map(({ name }) => `set ${name} missing`),
      ...returns.map(({ ban, home }) => `ban of ${ban.address} missing in ${banHomeName(home)}`),
      ...differing(entries),
    ],
    rulesFound: families.flatMap((family) => tables[family].found.map((what) => `IPv${family}: ${what}`)),
    sets: definitions.map(({ name }) => name),
    ends: entries.flatMap((plan) => plan.ends),
  };
}

/**
 * The lines that make the sets of the policies, as far as they are missing, of a plan that is still to be made; none where a set stands in the way of
 * the plan.
 */
export function linesOfSets(desired: Desired, { sets }: Pick<Actual, "sets">): readonly string[] {
  if (sets === null) return [];
  const definitions = families.flatMap((family) => definitionsOf(family, desired, []));
  const isMisshapen = ({ name, shape }: SetDefinition): boolean => sets.has(name) && sets.get(name)?.shape !== shape;
  return definitions.some(isMisshapen) ? [] : definitions.filter(({ name }) => !sets.has(name)).map(lineOf);
}

function lineOf({ name, words }: SetDefinition): string {
  return `create ${name} ${words}`;
}

/** Composes what is remembered of each policy, of thousands of rules not all in one turn. */
function* composeInSteps(policies: readonly Policy[], { tables, sets }: Actual): Steps<void> {
  for (const family of families) {
    for (const policy of policies) {
      const { mode, name } = policy;
      if (mode === "off" || tables[family].standing?.has(name) || hasChains(policy, family, sets !== null)) continue;
      for (const [, rules] of chainsOfPolicy(policy, family, sets !== null)) for (const rule of rules) ruleText(rule, family);
      yield;
    }
  }
}

/**
 * Operators' bans and graces, in both families.
 * @param touched looks at these addresses alone
 */
export function* planTimedEntries(
  desired: Desired,
  { lists, sets, now, readAt, writtenEnds }: Pick<Actual, "lists" | "sets" | "now" | "readAt" | "writtenEnds">,
  touched?: Desired["touched"],
): Steps<readonly EntryPlan[]> {
  const wanted = touched === undefined ? desired.operatorBans : [...touched.values()].filter((ban) => ban !== undefined);
  const only = touched === undefined ? undefined : new Set(touched.keys());
  const graces = desired.graces.map(({ address, until }) => ({ address, expiresAt: until }));
  const plans: EntryPlan[] = [];
  for (const family of families) {
    const setOf = (name: string) => (sets === null ? null : sets.get(name));
    const [own, grace] = [operatorName(family), graceSetName(family)];
    plans.push(yield* planEntries(own, family, wanted, lists, setOf(own), now, readAt, writtenEnds, only));
    if (only !== undefined) continue;
    if (sets !== null) {
      const noList = { ...lists, read: () => [], capacity: () => 0 };
      plans.push(yield* planEntries(grace, family, graces, noList, setOf(grace), now, readAt, writtenEnds));
      continue;
    }
    const banning = desired.policies.filter((policy) => policy.mode === "enforce" && policy.ban !== null);
    const prefixes = new Set(banning.map((policy) => offenderListOf(policy, family).prefix));
    for (const prefix of prefixes)
      plans.push(yield* planGraceList(graceListName(family, prefix), family, prefix, graces, lists, now));
  }
  return plans;
}

function planGraceList(
  name: string,
  family: Family,
  prefix: number,
  graces: readonly { readonly address: string; readonly expiresAt: number }[],
  lists: RecentLists,
  now: number,
): Steps<EntryPlan> {
  const full = family === 4 ? 32 : 128;
  const fitting = graces.filter(({ address }) => Number(address.split("/")[1] ?? full) === prefix);
  const entries = fitting.map(({ address, expiresAt }) => ({ address: withoutPrefix(address), expiresAt }));
  return planEntries(name, family, entries, lists, null, now);
}

function definitionsOf(family: Family, desired: Desired, retired: readonly BanHome[]): readonly SetDefinition[] {
  const policies = desired.policies.filter((policy) => policy.mode !== "off");
  return setDefinitions(family, policies, banHomes({ family, policies, withSets: true, retired }));
}

function putBack(
  ban: KernelBan,
  home: BanHome,
  now: number,
): { readonly ipset: readonly string[]; readonly recent: readonly ListWrite[] } {
  const [name, address] = [banHomeName(home), withoutPrefix(ban.address)];
  if (home.storage === "recent") return { ipset: [], recent: [{ list: name, write: `+${address}` }] };
  return { ipset: [`add ${name} ${address} timeout ${Math.floor((ban.expiresAt - now) / 1000)}`], recent: [] };
}

/** Takes a ban out of the home in which it stands now. */
function takeOut(
  ban: KernelBan,
  sets: Actual["sets"],
): { readonly ipset: readonly string[]; readonly recent: readonly ListWrite[] } {
  const address = withoutPrefix(ban.address);
  if (sets?.has(ban.home)) return { ipset: [`del ${ban.home} ${address}`], recent: [] };
  return { ipset: [], recent: [{ list: ban.home, write: `-${address}` }] };
}

function homeOf(ban: KernelBan, desired: Desired): BanHome | undefined {
  return parseBanHomeName("recent", ban.home, desired.policies) ?? parseBanHomeName("ipset", ban.home, desired.policies);
}

function differing(entries: readonly EntryPlan[]): readonly string[] {
  return entries.flatMap(({ recent, ipset }) => {
    const names = new Set([...recent.map(({ list }) => list), ...ipset.map((line) => line.split(" ")[1] ?? "")]);
    return [...names].map((name) => `${name} differs in ${recent.length + ipset.length} entries`);
  });
}
