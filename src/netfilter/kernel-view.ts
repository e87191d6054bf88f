import { policyNamed } from "../domain/policy.ts";
import type { KernelView } from "../domain/ports.ts";
import type { BanKeeper } from "./bans/ban-keeper.ts";
import { standingCauses } from "./bans/ban-ledger.ts";
import { operatorName } from "./bans/names.ts";
import { memoryOf } from "./iptables/ruleset.ts";
import { createOffenderReader } from "./offenders.ts";
import { families } from "./planning.ts";
import type { RecentLists } from "./recent/list-files.ts";

export interface KernelViewOptions {
  readonly lists: RecentLists;
  readonly keeper: BanKeeper;
}

/** Reads what the kernel holds now. Rejects with `EnforcementDelayed` when it can't be read. */
export function createKernelView({ lists, keeper }: KernelViewOptions): (assertWanted: () => void) => Promise<KernelView> {
  const offenderReader = createOffenderReader();
  return async (assertWanted) => {
    const { reading, running } = await keeper.look(undefined, assertWanted);
    const policies = keeper.policies();
    const policyBans = running.map((ban) => ({ ...ban, policies: standingCauses(ban, policies), enforced: ban.present }));
    const held = families.map((family) => {
      const name = operatorName(family);
      const set = reading.sets?.get(name);
      return { list: new Set(lists.read(name)?.map((entry) => entry.address)), set: set?.entries };
    });
    // What is protected is let in before anybody looks at the bans.
    const operatorBans = {
      has: (address: string) =>
        held.some(({ list, set }) => list.has(address) || set?.has(address)) && !keeper.isProtected(address),
    };
    const offenders = (name: string) => {
      const policy = policyNamed(policies, name);
      return policy === undefined ? [] : offenderReader.read(reading, name, policyBans, memoryOf(policy));
    };
    return { operatorBans, policyBans, offenders };
  };
}
