import type { Clock, Desired, PassReport } from "../domain/ports.ts";
import { inTurns } from "../domain/steps.ts";
import type { BanKeeper } from "./bans/ban-keeper.ts";
import type { LedgerState } from "./bans/ban-ledger.ts";
import { operatorName } from "./bans/names.ts";
import type { EndsMemory } from "./bans/written-ends.ts";
import type { IpSets } from "./ipset/sets.ts";
import type { KernelLists } from "./kernel-lists.ts";
import { families, planTimedEntries } from "./planning.ts";
import type { RecentLists } from "./recent/list-files.ts";
import { returnsOf } from "./returns.ts";
import { writeEntries } from "./write-entries.ts";

export interface BanPassOptions {
  readonly lists: RecentLists;
  readonly sets: IpSets;
  readonly kernelLists: KernelLists;
  readonly keeper: BanKeeper;
  readonly endsMemory: EndsMemory;
  readonly clock: Clock;
}

/**
 * Brings bans in step, and leaves the rules alone; null where it takes rules to do so.
 * @param fresh do not be content with an earlier reading of the sets
 */
export type BanPass = (
  desired: Desired,
  fresh: boolean,
) => Promise<(Pick<PassReport, "writes" | "found"> & { readonly state: LedgerState }) | null>;

export function createBanPass({ lists, sets, kernelLists, keeper, endsMemory, clock }: BanPassOptions): BanPass {
  return async (desired, fresh) => {
    if (kernelLists.flushed() || !families.every((family) => lists.exists(operatorName(family)))) return null;
    const { reading, state, running, removals } = await keeper.settle(desired, fresh);
    const { now } = reading;
    if (returnsOf(desired, { running, now, sets: reading.sets, lists }).length > 0) return null;
    const entries = { lists, sets: reading.sets, now, readAt: reading.before, writtenEnds: endsMemory.ends };
    const plans = await inTurns(planTimedEntries(desired, entries, fresh ? undefined : desired.touched));
    const ipset = plans.flatMap((plan) => plan.ipset);
    if (ipset.length > 0) {
      await sets.restore(ipset);
      kernelLists.wrote(ipset);
      endsMemory.note(ipset, plans, clock.now());
    }
    const recent = plans.flatMap((plan) => plan.recent);
    writeEntries(lists, recent);
    const writes = removals.ipset.length + removals.recent.length + ipset.length + recent.length;
    return { writes, found: removals.found, state };
  };
}
