import { createExclusive } from "../domain/exclusive.ts";
import type { Inspector } from "../domain/inspection.ts";
import { type Desired, EnforcementDelayed, type Firewall, type PassExtent, type PassReport } from "../domain/ports.ts";
import { inTurns } from "../domain/steps.ts";
import { createBanPass } from "./ban-pass.ts";
import { banRoomOf } from "./ban-room.ts";
import { banHomeName, isHeldHome } from "./bans/ban-home.ts";
import { createBanKeeper } from "./bans/ban-keeper.ts";
import type { LedgerBan, LedgerState } from "./bans/ban-ledger.ts";
import type { Reading } from "./bans/reading.ts";
import { createEndsMemory } from "./bans/written-ends.ts";
import { createCountWatch } from "./count-watch.ts";
import type { NetfilterOptions } from "./firewall-options.ts";
import { createInspector, shadowsOf } from "./inspection.ts";
import type { KnownChains } from "./iptables/standing-chains.ts";
import { holdsAsWritten } from "./iptables/table-diff.ts";
import { createFilterTable } from "./iptables/tables.ts";
import { createJointCheck } from "./joint-check.ts";
import { createKernelLists } from "./kernel-lists.ts";
import { createKernelView } from "./kernel-view.ts";
import { createLastPass } from "./last-pass.ts";
import { once } from "./memo.ts";
import { createLeftRules, removeLeftRules, removeOwnRules } from "./other-backend.ts";
import { writesOf } from "./plan.ts";
import { createPlanWriter } from "./plan-writer.ts";
import {
  type Actual,
  acceptable,
  composeRules,
  families,
  isEmpty,
  isWhole,
  linesOfSets,
  planPass,
  planSparingly,
} from "./planning.ts";
import { createSharedRun } from "./shared-run.ts";
import { createTableReader } from "./table-reader.ts";
import { createTrial, ifUnfit, TablesChanged } from "./trial.ts";
import { withinTime } from "./within-time.ts";
import { writeEntries } from "./write-entries.ts";

/** Milliseconds that whoever asks the kernel something waits for it, when he does not say how long. */
const patience = 5000;
/** That a write waits for the kernel's opinion before it is stored without it; leaves a pass most of the second that it can wait for the lock. */
const checkPatience = 600;
/** The rules of more policies than these are work for a tenth of a second. */
const manyPolicies = 100;
const noClock = "the kernel's clock can't be read from its canary list";
/** That a rehearsal, which is checked like a write, waits for its plan. */
const planPatience = 1300;

/** The firewall of this host's network namespace, with the removal of all that is its own. */
export interface NetfilterFirewall extends Firewall {
  readonly inspector: Inspector;
  /** Starts what the first pass asks for the rules, which takes some time. */
  prepare(): Promise<void>;
  /** Keeps what the next start would have to compose; for the end, when no pass runs any more. Never rejects. */
  leave(): Promise<void>;
  /** Removes every chain, list and set that is this service's own, on both backends; the result names sets that rules of others keep. */
  purge(): Promise<readonly string[]>;
}

/** Drives iptables, ip6tables, the xt_recent lists and ipset. */
export function createFirewall(options: NetfilterOptions): NetfilterFirewall {
  const {
    backend,
    version,
    protectedNetworks,
    run,
    isThere,
    sessions,
    lists,
    sets,
    composed,
    generation,
    listings,
    clock,
    onLongWait,
  } = options;
  const tables = { 4: createFilterTable(4, backend, run, sessions), 6: createFilterTable(6, backend, run, sessions) };
  const reader = createTableReader({ tables, ...(generation && { generation }), ...(listings && { listings }), clock });
  const readNow = (known?: () => KnownChains | null) => reader.read(last.tables(), known);
  const kernelLists = createKernelLists({ lists, sets, clock });
  // Whoever asks the kernel what it would do must not see a pass half way.
  const exclusive = createExclusive();
  const keeper = createBanKeeper({ lists, sets, kernelLists, protectedNetworks });
  const planFor = backend === "legacy" ? planSparingly : planPass;
  /** Whether a table was seen to hold and print what was written to it. */
  let verified = false;
  let keptIsDoubtful = false;
  const leftRules = createLeftRules(backend, run);
  const last = createLastPass(tables);
  const endsMemory = createEndsMemory();
  const counts = createCountWatch(backend, clock);
  const banPass = createBanPass({ lists, sets, kernelLists, keeper, endsMemory, clock });
  /** On legacy the kernel replaces the whole of a table. */
  const onSent = (): void => {
    if (backend === "legacy" && keeper.policies().length > manyPolicies) onLongWait?.();
  };
  const writer = createPlanWriter({ tables, reader, sets, kernelLists, endsMemory, counts, clock, onSent });

  const actualOf = (found: Actual["tables"], reading: Reading, running: readonly LedgerBan[]): Actual => ({
    tables: found,
    sets: reading.sets,
    lists,
    running,
    now: reading.now,
    readAt: reading.before,
    writtenEnds: endsMemory.ends,
    protectedNetworks,
    stuckSets: writer.stuckSets(),
  });

  /** What a pass would do now. @param known the tables, which are not read then */
  const foresee = async (desired: Desired, known: Actual["tables"] | null) => {
    const { reading, running, removals } = await keeper.look(desired);
    const actual = actualOf(known ?? (await readNow().tables), reading, running);
    return { planned: await inTurns(planFor(acceptable(desired), actual)), removals };
  };

  const trial = createTrial({ tables, last, foresee: async (desired, known) => (await foresee(desired, known)).planned });

  const afterwards = ({ imprecise }: LedgerState): Pick<PassReport, "kernelBans" | "imprecise" | "nextEnd"> => {
    const kernelBans = keeper.ledger.bans();
    const ends = kernelBans.filter(({ home }) => isHeldHome(home)).map((ban) => ban.expiresAt);
    return { kernelBans, imprecise, nextEnd: ends.length === 0 ? null : Math.min(...ends) };
  };

  const converge = (desired: Desired, extent: PassExtent = "whole"): Promise<PassReport> =>
    exclusive(async () => {
      try {
        const report = await convergeAsFarAsKnown(desired, extent);
        await leftRules.remove();
        return report;
      } catch (error) {
        // Whatever went wrong, what was read before is no ground for the next try.
        kernelLists.changed();
        last.doubt();
        keptIsDoubtful = true;
        throw error;
      }
    });

  const convergeAsFarAsKnown = async (desired: Desired, extent: PassExtent): Promise<PassReport> => {
    const known = last.tables();
    // The same policies as before: nobody asked for other rules, so that whatever differs is drift.
    const looking = desired.policies === keeper.policies();
    const inPart = extent === "changes" && known !== null && verified && !kernelLists.flushed();
    const report = inPart ? await convergeNow(desired, looking, known).catch(ifUnfit(null)) : null;
    return report ?? (await convergeNow(desired, looking, null));
  };

  /** A write would wait for these programs. Who finds the rules as they are known has hardly anything to write. */
  const prepareWrites = (found: Actual["tables"], expected: ReadonlySet<string> | undefined): void => {
    if (families.every((family) => found[family].standing?.size === expected?.size && expected !== undefined)) return;
    for (const family of families) tables[family].prepare();
    sets.prepare();
  };

  /** What a pass starts from. @param before the tables, which are not read then */
  const lookAround = async (desired: Desired, looking: boolean, before: Actual["tables"] | null) => {
    const isLarge = !last.ended() && desired.policies.length > manyPolicies;
    // Once only: whatever went wrong with it does not so with all that is read and composed.
    const isKept = isLarge && !keptIsDoubtful;
    const chains = once(() => (isKept ? (composed?.known(acceptable(desired).policies) ?? null) : null));
    const reading = before === null ? readNow(chains) : { tables: Promise.resolve(before), asked: undefined };
    const tablesNow = reading.tables;
    const clockNow = kernelLists.calibrate();
    // They are waited for further below, and can fail before that.
    void Promise.allSettled([tablesNow, clockNow]);
    if (!last.ended()) {
      // Programs are at work while rules are composed. A host without sets has other rules, and composes them later.
      await reading.asked;
      composeRules(desired, protectedNetworks, chains()?.current);
    }
    const known = chains();
    const expected = known?.current;
    leftRules.look(expected !== undefined);
    try {
      await clockNow;
    } catch (error) {
      // No question is left behind that the next pass would have to wait for.
      await Promise.allSettled([tablesNow]);
      throw error;
    }
    const [found, settled] = await Promise.all([
      tablesNow,
      keeper.settle(desired, looking || (last.ended() && kernelLists.flushed())),
    ]);
    if (isLarge) prepareWrites(found, expected);
    // Where a start before this one left rules on the same backend, to ask the other one can wait.
    if (expected !== undefined && !families.every((family) => found[family].standing !== undefined)) leftRules.look(false);
    // What is known are rules that name sets.
    const isFit = settled.reading.sets !== null || isWhole(found);
    return { found: isFit ? found : await readNow().tables, known, ...settled };
  };

  /** @param before the tables, of which only what is to change is read then; null: they are read */
  const convergeNow = async (desired: Desired, looking: boolean, before: Actual["tables"] | null): Promise<PassReport> => {
    const { found, reading, state, running, removals, known } = await lookAround(desired, looking, before);
    const kept = keptFor(known, found, reading);
    const actual = { ...actualOf(found, reading, running), ...(kept && { kept }) };
    counts.seen(actual.tables, desired.policies);
    if (!last.ended()) writer.begin(linesOfSets(acceptable(desired), actual));
    const planned = await inTurns(planFor(acceptable(desired), actual));
    if (before !== null && !(await last.isStillThere(before, planned, desired.policies))) throw new TablesChanged();
    const differences = last.meddling(planned, found);
    verified ||= families.every((family) => holdsAsWritten(found[family], planned.chains[family], family));
    await writer.write(planned);
    last.note(found, planned, desired.policies);
    const wrote = planned.tables[4].length + planned.tables[6].length > 0;
    // Programs list the rules while the clock is measured, which the first pass into an empty kernel does here.
    const verifying = wrote && (looking || !verified) ? writer.verify(planned, found, kept) : null;
    const seen = Promise.allSettled([verifying]);
    try {
      if (!(await kernelLists.calibrate())) throw new EnforcementDelayed(noClock);
      writeEntries(lists, planned.recent);
      for (const { ban, home } of planned.returns) keeper.ledger.moved(ban, banHomeName(home));
    } finally {
      await seen;
    }
    await verifying;
    verified ||= wrote;
    const isOfUse = planned.isWhole && reading.sets !== null && desired.policies.length > manyPolicies;
    if (isOfUse) void composed?.keep(desired.policies);
    reader.note(desired.policies.length > manyPolicies);
    const taken = removals.ipset.length + removals.recent.length;
    return {
      writes: taken + writesOf(planned),
      found: [...removals.found, ...differences],
      ...afterwards(state),
    };
  };

  const view = createKernelView({ lists, keeper });
  const sharedView = createSharedRun(() => view(() => undefined));

  const jointCheck = createJointCheck(
    (desired) =>
      withinTime(checkPatience, (assertWanted) =>
        exclusive(async () => {
          assertWanted();
          // A question that hangs changes nothing, so that a pass need not wait for its end.
          await withinTime(checkPatience, (isWanted) => trial(desired, isWanted));
        }),
      ),
    keeper.policies,
  );

  return {
    prepare: async () => {
      await reader.prepare(!kernelLists.flushed());
      kernelLists.prepare();
    },
    leave: async () => void (await Promise.all([composed?.finish(), reader.finish()])),
    inspector: createInspector({ backend, version, run, isThere, lists, kernelLists, counts }),
    recall: keeper.ledger.recall,
    check: (desired) => withinTime(checkPatience, () => jointCheck(desired)),
    plan: (desired) =>
      withinTime(planPatience, (assertWanted) =>
        exclusive(async () => {
          assertWanted();
          const { planned, removals } = await foresee(desired, null);
          return {
            ipv4: planned.tables[4],
            ipv6: planned.tables[6],
            recent: [...removals.recent, ...planned.recent],
            ipset: [...removals.ipset, ...planned.ipset, ...planned.obsoleteSets.map((name) => `destroy ${name}`)],
          };
        }),
      ),
    converge,
    convergeBans: async (desired, fresh) => {
      const report = await banPass(desired, fresh);
      if (report === null) return converge(desired);
      const { writes, found, state } = report;
      return { writes, found, ...afterwards(state) };
    },
    glance: () => ({ flushed: kernelLists.flushed(), activity: keeper.activity() }),
    view: (within = patience) => withinTime(within, sharedView),
    countsForgottenAt: counts.forgottenAt,
    position: async () => {
      const found = await readNow().tables;
      const [four, six] = await Promise.all([tables[4].readEarlier(), tables[6].readEarlier()]);
      const shadowedBy = shadowsOf(found, { 4: four, 6: six });
      const inPlace = last.hasLeft(found);
      return { shadowedBy, inPlace };
    },
    banRoom: () => banRoomOf(lists.capacity(), kernelLists.withoutSets()),
    purge: () =>
      exclusive(async () => {
        await removeOwnRules(backend, run);
        await removeLeftRules(backend, run);
        const { sets: saved } = await kernelLists.read(true);
        return saved && saved.size > 0 ? await sets.destroy([...saved.keys()]) : [];
      }),
  };
}

/** Where nothing is there, after a reboot, say, the chains of policies are made in the words that are kept of them, which name sets. */
function keptFor(known: KnownChains | null, found: Actual["tables"], { sets }: Reading): KnownChains | undefined {
  return known !== null && sets !== null && isEmpty(found) ? known : undefined;
}
