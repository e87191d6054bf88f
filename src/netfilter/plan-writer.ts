import type { Family } from "../domain/network.ts";
import { type Clock, EnforcementDelayed } from "../domain/ports.ts";
import { operatorName } from "./bans/names.ts";
import type { EndsMemory } from "./bans/written-ends.ts";
import type { CountWatch } from "./count-watch.ts";
import type { IpSets } from "./ipset/sets.ts";
import { firstListsOf } from "./iptables/first-lists.ts";
import type { KnownChains } from "./iptables/standing-chains.ts";
import { diffTable } from "./iptables/table-diff.ts";
import type { FilterTable } from "./iptables/tables.ts";
import type { KernelLists } from "./kernel-lists.ts";
import { once } from "./memo.ts";
import { allChains, type Plan } from "./plan.ts";
import { type Actual, families } from "./planning.ts";
import type { TableReader } from "./table-reader.ts";

export interface PlanWriterOptions {
  readonly tables: Readonly<Record<Family, FilterTable>>;
  readonly reader: Pick<TableReader, "manner" | "changing">;
  readonly sets: IpSets;
  readonly kernelLists: KernelLists;
  readonly endsMemory: EndsMemory;
  readonly counts: CountWatch;
  readonly clock: Clock;
  /** Called when a program has a change of a table and works. */
  readonly onSent?: () => void;
}

/** Carries a plan out. */
export interface PlanWriter {
  /** Begins to make the sets of a plan whose rules are still being composed, if they are many. Never throws: what is wrong is said by `write`. */
  begin(sets: readonly string[]): void;
  /** Writes all of it but the entries of lists. @throws {DomainError} `kernel-refused` @throws {EnforcementDelayed} */
  write(plan: Plan): Promise<void>;
  /**
   * Looks whether the kernel holds what it took.
   * @param before the tables as they were
   * @param known what needs no closer look where it is so
   * @throws {EnforcementDelayed}
   */
  verify(plan: Plan, before: Actual["tables"], known?: KnownChains): Promise<void>;
  /** Sets that could not be destroyed a short time ago, as others hold them: rules that name them, as a rule. */
  stuckSets(): ReadonlySet<string>;
}

/** Milliseconds for which a set that others hold is left alone. */
const stuckTime = 600_000;

/** Fewer sets are made in no time. */
const manySets = 100;
/** Sets with fewer entries are filled in no time. */
const manyEntries = 1000;

const operatorSets = families.map((family) => ` ${operatorName(family)} `);

/**
 * The lines that make sets, and operators' bans. Where there is no rule yet, rules that name the sets can be made while these are filled; otherwise
 * whoever is banned in a set that is new would get in meanwhile. What packets write to as well is filled before they can.
 */
function bansApart(lines: readonly string[]): readonly [readonly string[], readonly string[]] {
  const isBan = (line: string): boolean => line.startsWith("add ") && operatorSets.some((name) => line.startsWith(name, 3));
  const [rest, bans]: [string[], string[]] = [[], []];
  for (const line of lines) (isBan(line) ? bans : rest).push(line);
  return bans.length > manyEntries ? [rest, bans] : [lines, []];
}

export function createPlanWriter(options: PlanWriterOptions): PlanWriter {
  const { tables, reader, sets, kernelLists, endsMemory, counts, clock, onSent } = options;
  /** With the monotonic time at which it is tried again. */
  const stuck = new Map<string, number>();

  /** What fails in one family does not keep the other one from its change. */
  const applyToEach = async (lines: Plan["tables"], whenSent?: () => void): Promise<void> => {
    const changed = families.filter((family) => lines[family].length > 0);
    const outcomes = await Promise.allSettled(changed.map((family) => tables[family].apply(lines[family], whenSent)));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  };

  const noteWrites = (lines: Readonly<Record<Family, readonly string[]>>): void => {
    if (families.some((family) => lines[family].length > 0)) counts.written();
  };

  const restoreSets = async (lines: readonly string[], entries: Plan["entries"]): Promise<void> => {
    if (lines.length === 0) return;
    await sets.restore(lines);
    kernelLists.wrote(lines);
    endsMemory.note(lines, entries, clock.now());
  };

  const destroyObsolete = async ({ obsoleteSets }: Plan): Promise<void> => {
    if (obsoleteSets.length === 0) return;
    const kept = await sets.destroy(obsoleteSets);
    for (const name of obsoleteSets) stuck.delete(name);
    for (const name of kept) stuck.set(name, clock.monotonic() + stuckTime);
    kernelLists.changed();
  };

  /** Sets that are being made, by the lines that make them. */
  let ahead: { readonly lines: ReadonlySet<string>; readonly done: Promise<void> } | undefined;
  const begin = (lines: readonly string[]): void => {
    ahead = undefined;
    if (lines.length <= manySets) return;
    ahead = { lines: new Set(lines), done: sets.restore(lines) };
    void Promise.allSettled([ahead.done]);
  };
  /** The sets that have been begun; resolves with their lines. */
  const finishSets = async (): Promise<ReadonlySet<string>> => {
    const begun = ahead;
    ahead = undefined;
    if (begun === undefined) return new Set();
    await begun.done;
    kernelLists.wrote([...begun.lines]);
    return begun.lines;
  };

  const write = async (plan: Plan): Promise<void> => {
    const made = await finishSets();
    assertWellShaped(plan);
    const firstLists = { 4: firstListsOf(plan.tables[4], 4), 6: firstListsOf(plan.tables[6], 6) };
    noteWrites(firstLists);
    const isNew = families.every((family) => firstLists[family].length > 0);
    const [first, bans] = isNew ? bansApart(plan.ipset) : [plan.ipset, []];
    const rest = made.size === 0 ? first : first.filter((line) => !made.has(line));
    const restoring = restoreSets(rest, bans.length === 0 ? plan.entries : []);
    for (const family of families) if (plan.tables[family].length > 0) tables[family].prepare();
    // These name no set. What fails here fails again with the whole change.
    await Promise.allSettled([restoring, applyToEach(firstLists)]);
    await restoring;
    noteWrites(plan.tables);
    if (isNew) reader.changing();
    const filling = restoreSets(bans, plan.entries);
    // What the kernel refuses is more than what is late.
    const outcomes = await Promise.allSettled([applyToEach(plan.tables, onSent), filling]);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    await destroyObsolete(plan);
  };

  const verify = async (plan: Plan, before: Actual["tables"], known?: KnownChains): Promise<void> => {
    const manner = once(() => reader.manner(known));
    const readAfter = async (family: Family) => {
      const table = await tables[family].readAfter(before[family], plan.tables[family], manner);
      // Who prints some of them in other words is read closely.
      const isPartial = table.standing !== undefined && table.standing.size < (known?.current.size ?? 0);
      return isPartial ? tables[family].readAfter(before[family], plan.tables[family]) : table;
    };
    const [four, six] = await Promise.all([readAfter(4), readAfter(6)]);
    const found = { 4: four, 6: six };
    for (const family of families) {
      // Many chains are read again with all of the table.
      const chains = found[family].standing === undefined ? allChains(plan) : plan.chains;
      const rest = diffTable(found[family], chains[family], family);
      if (rest.lines.length > 0)
        throw new EnforcementDelayed(`the kernel took the rules but holds others: ${rest.found.join("; ")}`);
    }
  };

  const stuckSets = (): ReadonlySet<string> =>
    new Set([...stuck].filter(([, until]) => clock.monotonic() < until).map(([name]) => name));

  return { begin, write, verify, stuckSets };
}

/** @throws {EnforcementDelayed} */
function assertWellShaped({ misshapenSets: [misshapen] }: Plan): void {
  if (misshapen === undefined) return;
  throw new EnforcementDelayed(
    `the ipset ${misshapen} is of another type than this service makes; stop it, npm run purge, and start it again`,
  );
}
