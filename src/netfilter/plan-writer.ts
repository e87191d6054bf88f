import type { Family } from "../domain/network.ts";
import { type Clock, EnforcementDelayed } from "../domain/ports.ts";
import type { EndsMemory } from "./bans/written-ends.ts";
import type { CountWatch } from "./count-watch.ts";
import type { IpSets } from "./ipset/sets.ts";
import { firstListOf } from "./iptables/first-lists.ts";
import { diffTable } from "./iptables/table-diff.ts";
import type { FilterTable } from "./iptables/tables.ts";
import type { KernelLists } from "./kernel-lists.ts";
import { allChains, type Plan } from "./plan.ts";
import { type Actual, families } from "./planning.ts";

export interface PlanWriterOptions {
  readonly tables: Readonly<Record<Family, FilterTable>>;
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
  /** Writes all of it but the entries of lists. @throws {DomainError} `kernel-refused` @throws {EnforcementDelayed} */
  write(plan: Plan): Promise<void>;
  /** Looks whether the kernel holds what it took. @param before the tables as they were @throws {EnforcementDelayed} */
  verify(plan: Plan, before: Actual["tables"]): Promise<void>;
  /** Sets that could not be destroyed a short time ago, as others hold them: rules that name them, as a rule. */
  stuckSets(): ReadonlySet<string>;
}

/** Milliseconds for which a set that others hold is left alone. */
const stuckTime = 600_000;

export function createPlanWriter(options: PlanWriterOptions): PlanWriter {
  const { tables, sets, kernelLists, endsMemory, counts, clock, onSent } = options;
  /** With the monotonic time at which it is tried again. */
  const stuck = new Map<string, number>();

  const applyToEach = (linesOf: (family: Family) => readonly string[]): Promise<readonly PromiseSettledResult<void>[]> => {
    const changed = families.filter((family) => linesOf(family).length > 0);
    return Promise.allSettled(changed.map((family) => tables[family].apply(linesOf(family), onSent)));
  };

  const noteWrites = (lines: Readonly<Record<Family, readonly string[]>>): void => {
    if (families.some((family) => lines[family].length > 0)) counts.written();
  };

  const restoreSets = async ({ ipset, ends }: Plan): Promise<void> => {
    if (ipset.length === 0) return;
    await sets.restore(ipset);
    kernelLists.wrote(ipset);
    endsMemory.note(ipset, ends, clock.now());
  };

  const write = async (plan: Plan): Promise<void> => {
    const [misshapen] = plan.misshapenSets;
    if (misshapen !== undefined) {
      throw new EnforcementDelayed(
        `the ipset ${misshapen} is of another type than this service makes; stop it, npm run purge, and start it again`,
      );
    }
    const firstLists = { 4: firstListOf(plan.tables[4], 4), 6: firstListOf(plan.tables[6], 6) };
    noteWrites(firstLists);
    const restoring = restoreSets(plan);
    for (const family of families) if (plan.tables[family].length > 0) tables[family].prepare();
    // These name no set. What fails here fails again with the whole change.
    await Promise.allSettled([restoring, applyToEach((family) => firstLists[family])]);
    await restoring;
    noteWrites(plan.tables);
    const outcomes = await applyToEach((family) => plan.tables[family]);
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
    if (plan.obsoleteSets.length > 0) {
      const kept = await sets.destroy(plan.obsoleteSets);
      for (const name of plan.obsoleteSets) stuck.delete(name);
      for (const name of kept) stuck.set(name, clock.monotonic() + stuckTime);
      kernelLists.changed();
    }
  };

  const verify = async (plan: Plan, before: Actual["tables"]): Promise<void> => {
    const readAfter = (family: Family) => tables[family].readAfter(before[family], plan.tables[family]);
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

  return { write, verify, stuckSets };
}
