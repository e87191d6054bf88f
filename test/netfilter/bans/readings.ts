import type { Family } from "../../../src/domain/network.ts";
import type { Policy } from "../../../src/domain/policy.ts";
import { createBanLedger } from "../../../src/netfilter/bans/ban-ledger.ts";
import {
  type OffenderList,
  offenderListName,
  offenderListOf,
  offenderSetName,
  parseOffenderName,
} from "../../../src/netfilter/bans/names.ts";
import type { Reading } from "../../../src/netfilter/bans/reading.ts";
import { parseSavedSets } from "../../../src/netfilter/ipset/saved-sets.ts";
import { memoryOf } from "../../../src/netfilter/iptables/ruleset.ts";
import { createFakeRecentLists } from "../../support/fake-recent-lists.ts";
import { createSimulatedIpset } from "../../support/simulated-ipset.ts";
import { createTestClock } from "../../support/test-clock.ts";
import { banHomeFor } from "../host.ts";

const tickRate = 250;

/** The lists and sets that the policies' rules make and fill, with a ledger that reads them. The clock is the test's. */
export function createReadings({
  policies,
  withSets = true,
  more = [],
}: {
  readonly policies: readonly Policy[];
  readonly withSets?: boolean;
  /** Lists beside those of the policies. */
  readonly more?: readonly string[];
}) {
  const clock = createTestClock();
  const lists = createFakeRecentLists({ clock, tickRate });
  const ipset = createSimulatedIpset({ clock });
  const [boot, start] = [lists.jiffies(), clock.now()];
  const ledger = createBanLedger();
  let wallShift = 0;
  let saved = "";
  let savedAt = clock.now();

  const listOf = (policy: Policy, family: Family): OffenderList => offenderListOf(policy, family);
  const both = [4, 6] as const;
  const banning = policies.filter((policy) => policy.ban !== null && policy.mode === "enforce");
  const homes = both.flatMap((family) => banning.map((policy) => banHomeFor(policy, family, withSets)));
  const who = both.flatMap((family) => policies.map((policy) => offenderListName(listOf(policy, family))));
  lists.keepOnly([...who, ...more, ...(withSets ? [] : homes)]);
  if (withSets) {
    const sets = both.flatMap((family) => policies.map((policy) => offenderSetName(listOf(policy, family))));
    for (const name of new Set([...homes, ...sets])) {
      const prefix = parseOffenderName(name)?.prefix ?? Number(/^cld[46]-[hp](\d+)/.exec(name)?.[1]);
      const family = name.startsWith("cld4") ? "inet" : "inet6";
      ipset.edit(`create ${name} hash:ip family ${family} hashsize 64 maxelem 65536 netmask ${prefix} timeout 0`);
    }
  }
  const wallTimeOf = (jiffies: number) => start + wallShift + ((jiffies - boot) * 1000) / tickRate;

  /** Runs `ipset save`. */
  const save = async (): Promise<void> => {
    saved = (await ipset.run("ipset", ["save"])).stdout;
    savedAt = clock.now();
  };

  const reading = (): Reading => ({
    before: savedAt + wallShift,
    after: savedAt + wallShift,
    now: clock.now() + wallShift,
    clockOffset: start + wallShift,
    activity: "",
    lists,
    sets: withSets ? parseSavedSets(saved) : null,
    wallTimeOf,
  });

  return {
    clock: { advance: clock.advance, now: () => clock.now() + wallShift },
    lists,
    ipset,
    ledger,
    reading,
    setWallClock: (by: number) => {
      wallShift += by;
    },
    /** Looks at the kernel as it is now. */
    observe: async (terms: readonly Policy[] = policies) => {
      await save();
      return ledger.observe(reading(), terms);
    },
    /** Looks at the sets as they were at the last look. */
    observeAgain: (terms: readonly Policy[] = policies) => ledger.observe(reading(), terms),
    /** What the rules behind a policy's limit do; `ticks` from now. */
    offend: (policy: Policy, source: string, { ticks = 0, family = 4 }: { ticks?: number; family?: Family } = {}) => {
      const list = listOf(policy, family);
      lists.stamp(offenderListName(list), source, lists.jiffies() + ticks);
      if (withSets) ipset.addFromPacket(offenderSetName(list), source, memoryOf(policy));
      if (!banning.includes(policy)) return;
      const home = banHomeFor(policy, family, withSets);
      if (withSets) ipset.addFromPacket(home, source, policy.ban?.seconds ?? 0);
      else lists.stamp(home, source, lists.jiffies() + ticks);
    },
    /** As where so many others came after it that the lists of offenders forgot it. */
    forgetTrace: (policy: Policy, source: string, family: Family = 4) => {
      lists.drop(offenderListName(listOf(policy, family)), source);
      if (withSets) ipset.edit(`del ${offenderSetName(listOf(policy, family))} ${source}`);
    },
    /** A banned source tries again. */
    attempt: (policy: Policy, source: string, family: Family = 4) => {
      const home = banHomeFor(policy, family, withSets);
      if (withSets) ipset.addFromPacket(home, source, policy.ban?.seconds ?? 0);
      else lists.stamp(home, source);
    },
  };
}
