import type { Family, Network } from "../domain/network.ts";
import type { Policy } from "../domain/policy.ts";
import type { Desired } from "../domain/ports.ts";
import type { Steps } from "../domain/steps.ts";
import { type BanHome, banHomeName, banHomeOf, parseBanHomeName } from "./bans/ban-home.ts";
import type { LedgerBan } from "./bans/ban-ledger.ts";
import { graceListName, graceSetName, offenderListOf, operatorName } from "./bans/names.ts";
import { withoutPrefix } from "./bans/reading.ts";
import { type EntryPlan, planEntries, type WrittenEnds } from "./bans/timed-entries.ts";
import type { SavedSet } from "./ipset/saved-sets.ts";
import { type SetDefinition, setDefinitions } from "./ipset/set-definitions.ts";
import { banHomes } from "./iptables/ban-rules.ts";
import { ruleText } from "./iptables/rule-text.ts";
import { chainsOfPolicy, compileRuleset, hasChains } from "./iptables/ruleset.ts";
import type { SavedTable } from "./iptables/saved-table.ts";
import { type KnownChains, withKnown } from "./iptables/standing-chains.ts";
import { diffTable } from "./iptables/table-diff.ts";
import type { Plan } from "./plan.ts";
import type { RecentLists } from "./recent/list-files.ts";
import { putBack, retiredHomes, returnsOf, takeOut } from "./returns.ts";

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
  /** Chains of policies that are missing, and are made in the words that are kept of them. */
  readonly kept?: KnownChains;
}

/** Whether no chain of this service's is there. */
export function isEmpty(tables: Actual["tables"]): boolean {
  return families.every((family) => tables[family].own.size === 0) && isWhole(tables);
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
  const { kept } = actual;
  const chainsOf = (family: Family) => {
    const standing = kept?.current ?? actual.tables[family].standing;
    return compileRuleset({ family, ...ruleset, ...(standing && { standing }) });
  };
  yield* composeInSteps(desired.policies, actual);
  const chains = { 4: chainsOf(4), 6: chainsOf(6) };
  const changeOf = (family: Family) => {
    const change = diffTable(actual.tables[family], chains[family], family);
    return kept === undefined ? change : withKnown(change, kept.texts[family], kept.current);
  };
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
    isWhole: kept === undefined && isWhole(actual.tables),
    ruleset,
    found: [
      ...missing.map(({ name }) => `set ${name} missing`),
      ...returns.map(({ ban, home }) => `ban of ${ban.address} missing in ${banHomeName(home)}`),
      ...differing(entries),
    ],
    rulesFound: families.flatMap((family) => tables[family].found.map((what) => `IPv${family}: ${what}`)),
    sets: definitions.map(({ name }) => name),
    entries,
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
function* composeInSteps(policies: readonly Policy[], { tables, sets, kept }: Actual): Steps<void> {
  for (const family of families) {
    const standing = kept?.current ?? tables[family].standing;
    for (const policy of policies) {
      const { mode, name } = policy;
      if (mode === "off" || standing?.has(name) || hasChains(policy, family, sets !== null)) continue;
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

function differing(entries: readonly EntryPlan[]): readonly string[] {
  const different = entries.map(({ name, recent, ipset }) => ({ name, count: recent.length + ipset.length }));
  return different.flatMap(({ name, count }) => (count === 0 ? [] : [`${name} differs in ${count} entries`]));
}
