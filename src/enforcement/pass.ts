import type { KernelBan, OperatorBan } from "../domain/ban.ts";
import { DomainError } from "../domain/errors.ts";
import type { Clock, Desired, Firewall, PassReport, StateChange, Store } from "../domain/ports.ts";
import { createSieve } from "./sieve.ts";

const nothing: ReadonlyMap<string, string> = new Map();

/** What a pass looks at: rules and bans; bans and those rules that are to change; bans; bans, read anew although nothing says that they have changed. */
export type PassScope = "rules" | "changes" | "bans" | "fresh-bans";

export interface PassOptions {
  readonly store: Store;
  readonly firewall: Firewall;
  readonly clock: Clock;
}

export interface PassOutcome {
  readonly report: PassReport;
  readonly desired: Desired;
  /** Policies that the kernel refuses, each with its message. */
  readonly refused: ReadonlyMap<string, string>;
}

/** One pass: the store's state to the kernel, and what the kernel did by itself back to the store. */
export interface Pass {
  /**
   * Rejects when the kernel is not in step afterwards.
   * @param touched the addresses that a pass over bans has to look at; null: all
   * @param sifts where the kernel refuses the rules, it gets those of the policies that it takes; otherwise that is an error
   */
  run(scope: PassScope, touched: ReadonlySet<string> | null, sifts: boolean): Promise<PassOutcome>;
  /**
   * Writes down what the pass saw, and what has ended.
   * @param lifted addresses whose lift is done
   */
  record(report: PassReport, lifted: readonly string[]): Promise<void>;
  /** Milliseconds until the next ban or grace ends, none before the first pass; what has ended and could not be written down is left to the next pass. */
  untilNextEnd(): number;
}

export function createPass({ store, firewall, clock }: PassOptions): Pass {
  const sieve = createSieve(firewall);
  /** Ends up to here were tried to be written down, in vain. */
  let triedUntil = Number.NEGATIVE_INFINITY;
  /** When the last pass began that looked at all bans and came to its end: what has ended since may still be in the kernel. */
  let lookedAt = Number.NEGATIVE_INFINITY;
  /** No ban or grace ends before that; what was lifted meanwhile may have made it later. Each pass that looks at all of them finds it out. */
  let nextEnd = Number.NEGATIVE_INFINITY;

  const desiredAt = (now: number, touched: ReadonlySet<string> | null): Desired => {
    const graces = store.graces().filter((grace) => !isOver(grace.until, now));
    const rest = { policies: store.policies(), lifts: store.lifts(), graces };
    const running = () => store.operatorBans().filter((ban) => !isOver(ban.expiresAt, now));
    if (touched === null) return { ...rest, operatorBans: running() };
    const runningOf = (address: string): OperatorBan | undefined => {
      const ban = store.operatorBan(address);
      return isOver(ban?.expiresAt, now) ? undefined : ban;
    };
    return {
      ...rest,
      // Tens of thousands, which most of these passes need not look at.
      get operatorBans() {
        return running();
      },
      touched: new Map([...touched].map((address) => [address, runningOf(address)])),
    };
  };

  const noteEnds = ({ touched }: Desired): void => {
    if (touched === undefined) nextEnd = nextEndOf(store, triedUntil);
    else for (const ban of touched.values()) nextEnd = Math.min(nextEnd, ban?.expiresAt ?? nextEnd);
  };

  const removeEnded = async (now: number): Promise<void> => {
    if (nextEnd > now && triedUntil === Number.NEGATIVE_INFINITY) return;
    triedUntil = now;
    nextEnd = nextEndOf(store, triedUntil);
    const bans = store.operatorBans().filter((ban) => isOver(ban.expiresAt, now));
    const graces = store.graces().filter((grace) => isOver(grace.until, now));
    await store.transact((change) => {
      for (const { address } of bans) if (isOver(change.operatorBan(address)?.expiresAt, now)) change.deleteOperatorBan(address);
      for (const { address } of graces) if (isOver(change.grace(address)?.until, now)) change.deleteGrace(address);
    });
    triedUntil = Number.NEGATIVE_INFINITY;
    nextEnd = nextEndOf(store, triedUntil);
  };

  const carryOut = async (desired: Desired, scope: PassScope, sifts: boolean): Promise<PassOutcome> => {
    if (scope === "bans" || scope === "fresh-bans")
      return { report: await firewall.convergeBans(desired, scope === "fresh-bans"), desired, refused: nothing };
    try {
      return { report: await firewall.converge(desired, scope === "rules" ? "whole" : "changes"), desired, refused: nothing };
    } catch (error) {
      if (!sifts || !(error instanceof DomainError && error.code === "kernel-refused")) throw error;
      return { ...(await sieve.converge(desired)), desired };
    }
  };

  return {
    run: async (scope, touched, sifts) => {
      const begun = clock.now();
      const desired = desiredAt(begun, touched);
      noteEnds(desired);
      const outcome = await carryOut(desired, scope, sifts);
      if (touched === null) lookedAt = begun;
      return outcome;
    },
    record: async ({ kernelBans }, lifts) => {
      await removeEnded(Math.min(clock.now(), lookedAt));
      const stored = new Map(store.kernelBans().map((ban) => [keyOf(ban), ban]));
      const seen = new Set(kernelBans.map(keyOf));
      const changed = kernelBans.filter((ban) => !isSame(ban, stored.get(keyOf(ban))));
      const ended = [...stored.values()].filter((ban) => !seen.has(keyOf(ban)));
      if (changed.length + ended.length + lifts.length === 0) return;
      await store.transact((change: StateChange) => {
        for (const { home, address, policies, since, expiresAt } of changed)
          change.putKernelBan({ home, address, policies, since, expiresAt });
        for (const { home, address } of ended) change.deleteKernelBan(home, address);
        for (const address of lifts) change.deleteLift(address);
      });
    },
    untilNextEnd: () => nextEnd - clock.now(),
  };
}

/** The next end of a ban or grace that is later than `after`. */
function nextEndOf(store: Store, after: number): number {
  let next = Number.POSITIVE_INFINITY;
  for (const { expiresAt } of store.operatorBans())
    if (expiresAt !== null && expiresAt < next && expiresAt > after) next = expiresAt;
  for (const { until } of store.graces()) if (until < next && until > after) next = until;
  return next;
}

function isOver(end: number | null | undefined, now: number): boolean {
  return end !== null && end !== undefined && end <= now;
}

function isSame(a: KernelBan, b: KernelBan | undefined): boolean {
  return b !== undefined && a.since === b.since && a.expiresAt === b.expiresAt && a.policies.join() === b.policies.join();
}

function keyOf({ home, address }: KernelBan): string {
  return `${home} ${address}`;
}
