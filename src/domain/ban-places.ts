import type { OperatorBan } from "./ban.ts";
import { compareNetworks, formatNetwork, type Network, parseNetwork } from "./network.ts";
import type { DesiredState } from "./ports.ts";
import type { Steps } from "./steps.ts";

/** Where a ban stands in the list. */
export interface Place {
  /** Canonical. */
  readonly address: string;
  readonly network: Network;
}

/** The sorted places of all operator bans in `state`, as it is at the first step, and of the addresses that the kernel has banned. */
export type Places = (state: Pick<DesiredState, "operatorBans">, kernelAddresses: readonly string[]) => Steps<readonly Place[]>;

/** Only what has changed since the last call is parsed and sorted in. */
export function createPlaces(): Places {
  let last = {
    source: [] as readonly OperatorBan[],
    operators: [] as readonly Place[],
    kernels: [] as readonly Place[],
    all: [] as readonly Place[],
  };

  return function* (state, kernelAddresses) {
    const [source, before] = [state.operatorBans(), last];
    const isSame = source === before.source;
    const addresses = isSame ? [] : source.map((ban) => ban.address);
    const operators = isSame ? before.operators : yield* updated(before.operators, addresses);
    const kernels = yield* updated(before.kernels, kernelAddresses);
    const isAllSame = operators === before.operators && kernels === before.kernels;
    const all = isAllSame ? before.all : merged(operators, kernels);
    last = { source, operators, kernels, all };
    return all;
  };
}

export function placeOf(network: Network): Place {
  return { address: formatNetwork(network), network };
}

/** How many of the sorted `places` stand before `network` or on it. */
export function placesUpTo(places: readonly Place[], network: Network): number {
  let [low, high] = [0, places.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const place = places[middle];
    if (place !== undefined && compareNetworks(place.network, network) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Entries of which a step takes care in about a millisecond. */
const stepSize = 1024;

/** The sorted places of exactly `addresses`: `known` itself where these are they. */
function* updated(known: readonly Place[], addresses: readonly string[]): Steps<readonly Place[]> {
  const wanted = new Set<string>();
  for (const [index, address] of addresses.entries()) {
    wanted.add(address);
    if (index % stepSize === 0) yield;
  }
  const kept: Place[] = [];
  for (const [index, place] of known.entries()) {
    if (wanted.delete(place.address)) kept.push(place);
    if (index % stepSize === 0) yield;
  }
  if (kept.length === known.length && wanted.size === 0) return known;
  const added: Place[] = [];
  for (const address of wanted) {
    added.push({ address, network: parseNetwork(address) });
    if (added.length % stepSize === 0) yield;
  }
  return merged(kept, yield* sorted(added));
}

function* sorted(places: readonly Place[]): Steps<readonly Place[]> {
  if (places.length <= stepSize) return places.toSorted(byNetwork);
  const middle = places.length >> 1;
  const halves = [yield* sorted(places.slice(0, middle)), yield* sorted(places.slice(middle))] as const;
  yield;
  return merged(...halves);
}

/** Both in one order; what is in both comes once. */
function merged(some: readonly Place[], others: readonly Place[]): readonly Place[] {
  if (some.length === 0 || others.length === 0) return some.length === 0 ? others : some;
  const all: Place[] = [];
  let next = 0;
  for (const place of some) {
    for (let other = others[next]; other !== undefined; other = others[next]) {
      const order = byNetwork(other, place);
      if (order > 0) break;
      if (order < 0) all.push(other);
      next += 1;
    }
    all.push(place);
  }
  return all.concat(others.slice(next));
}

function byNetwork(a: Place, b: Place): number {
  return compareNetworks(a.network, b.network);
}
