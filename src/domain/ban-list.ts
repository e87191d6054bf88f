import type { Ban, BanCause, OperatorBan } from "./ban.ts";
import { createPlaces, type Place, placeOf, placesUpTo } from "./ban-places.ts";
import { addressFrom, isLive, networkFrom } from "./ban-rules.ts";
import { contains, type Network, networksAround } from "./network.ts";
import type { DesiredState, KernelView, ViewedBan } from "./ports.ts";
import type { BanFilter, BanPage } from "./services.ts";

/** What the kernel holds, at one moment. */
export interface BanSources {
  readonly view: Pick<KernelView, "operatorBans" | "policyBans">;
  /** Whether the rules that look at the lists are there. */
  readonly inStep: boolean;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** The one ban of all live causes of an address; `undefined` when there is none. The kernel has one ban per list that holds the address. */
export function mergeBan(
  address: string,
  operator: OperatorBan | undefined,
  kernelBans: readonly ViewedBan[],
  { view, inStep, now }: BanSources,
): Ban | undefined {
  const running = operator !== undefined && isLive(operator, now) ? operator : undefined;
  // Most bans of a long list are an operator's alone.
  const live = kernelBans.length === 0 ? kernelBans : kernelBans.filter((ban) => isLive(ban, now));
  const policyCauses = live.length === 0 ? [] : causesOf(live);
  if (running === undefined) {
    if (policyCauses.length === 0) return undefined;
    const enforced = inStep && live.some((ban) => ban.enforced);
    return { address, expiresAt: latestEnd(policyCauses), enforced, causes: policyCauses };
  }
  const { actor, reason, since, expiresAt } = running;
  const causes: readonly BanCause[] = [{ by: "operator", actor, reason, since, expiresAt }, ...policyCauses];
  return { address, expiresAt: latestEnd(causes), enforced: inStep && view.operatorBans.has(address), causes };
}

function causesOf(kernelBans: readonly ViewedBan[]): readonly PolicyCause[] {
  const causes = kernelBans.flatMap(({ policies, since, expiresAt }) =>
    policies.map((policy) => ({ by: "policy" as const, policy, since, expiresAt })),
  );
  return oneForEach(causes).sort(byPolicy);
}

/** A policy can have banned a source under earlier and later terms: that is one cause, from the first to the last. */
function oneForEach(causes: readonly PolicyCause[]): PolicyCause[] {
  const merged = new Map<string, PolicyCause>();
  for (const cause of causes) {
    const { since, expiresAt } = merged.get(cause.policy) ?? cause;
    merged.set(cause.policy, { ...cause, since: Math.min(since, cause.since), expiresAt: Math.max(expiresAt, cause.expiresAt) });
  }
  return [...merged.values()];
}

/** The bans that pass a filter, in the order of `compareNetworks`. @throws {DomainError} `invalid-input` for the filter or the page, before anything is looked at */
export type BanList = (filter: BanFilter, page: BanPage) => (sources: BanSources) => Promise<readonly Ban[]>;

/** Addresses are parsed and sorted once, when they are new. */
export function createBanList(state: DesiredState): BanList {
  const placesOf = createPlaces();

  return ({ covers, within, by, policy }, { after, limit = Number.POSITIVE_INFINITY }) => {
    const covered = covers === undefined ? undefined : addressFrom(covers, "covers");
    const around = within === undefined ? undefined : networkFrom(within, "within");
    const start = after === undefined ? undefined : networkFrom(after, "cursor");
    const isWithin = (network: Network): boolean => around === undefined || contains(around, network);
    const hasCause = causeMatcher(by, policy);

    return async (sources) => {
      const kernelBans = byAddress(sources);
      const places =
        covered === undefined
          ? await placesOf(state, [...kernelBans.keys()])
          : networksAround(covered).map((network) => placeOf(network, state));
      const first = start === undefined ? 0 : placesUpTo(places, start);
      return bansOf(places, first, limit, ({ address, network, operatorBan }) => {
        const ban = isWithin(network) ? mergeBan(address, operatorBan, kernelBans.get(address) ?? [], sources) : undefined;
        return ban !== undefined && hasCause(ban) ? ban : undefined;
      });
    };
  };
}

/** The first bans from a place on: a page makes only its own, and copies none of the tens of thousands around it. */
function bansOf(places: readonly Place[], from: number, limit: number, banAt: (place: Place) => Ban | undefined): readonly Ban[] {
  const found: Ban[] = [];
  for (let index = from; index < places.length && found.length < limit; index += 1) {
    const place = places[index];
    const ban = place && banAt(place);
    if (ban !== undefined) found.push(ban);
  }
  return found;
}

/** The bans that hit `network`, widest first. */
export function bansAround(network: Network, state: DesiredState, sources: BanSources): readonly Ban[] {
  const kernelBans = byAddress(sources);
  return networksAround(network).flatMap((around) => {
    const { address, operatorBan } = placeOf(around, state);
    return mergeBan(address, operatorBan, kernelBans.get(address) ?? [], sources) ?? [];
  });
}

function byAddress({ view }: BanSources): ReadonlyMap<string, readonly ViewedBan[]> {
  return Map.groupBy(view.policyBans, (ban) => ban.address);
}

function causeMatcher(by: BanFilter["by"], policy: string | undefined): (ban: Ban) => boolean {
  return ({ causes }) =>
    (by === undefined || causes.some((cause) => cause.by === by)) &&
    (policy === undefined || causes.some((cause) => cause.by === "policy" && cause.policy === policy));
}

type PolicyCause = Extract<BanCause, { readonly by: "policy" }>;

/** A steady order, so that a ban's version changes only when its causes do. */
function byPolicy(a: PolicyCause, b: PolicyCause): number {
  if (a.policy === b.policy) return a.since - b.since;
  return a.policy < b.policy ? -1 : 1;
}

function latestEnd(causes: readonly BanCause[]): number | null {
  return causes.reduce<number | null>(
    (latest, { expiresAt }) => (latest === null || expiresAt === null ? null : Math.max(latest, expiresAt)),
    0,
  );
}
