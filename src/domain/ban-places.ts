import type { OperatorBan } from "./ban.ts";
import { compareNetworks, formatNetwork, type Network, parseNetwork } from "./network.ts";
import type { DesiredState } from "./ports.ts";

/** Where a ban stands in the list. */
export interface Place {
  /** Canonical. */
  readonly address: string;
  readonly network: Network;
}

/** The sorted places of all operator bans in `state` and of the addresses that the kernel has banned. */
export type Places = (
  state: Pick<DesiredState, "operatorBan" | "operatorBans">,
  kernelAddresses: readonly string[],
) => readonly Place[];

/** Only what has changed since the last call is parsed and sorted in. */
export function createPlaces(): Places {
  let source: readonly OperatorBan[] = [];
  let operators: readonly Place[] = [];
  let kernels: readonly Place[] = [];
  let all: readonly Place[] = [];

  return (state, kernelAddresses) => {
    const [operatorsBefore, kernelsBefore] = [operators, kernels];
    const bans = state.operatorBans();
    if (bans !== source) {
      operators = updated(
        operators,
        bans.map((ban) => ban.address),
      );
      source = bans;
    }
    kernels = updated(kernels, kernelAddresses);
    if (operators !== operatorsBefore || kernels !== kernelsBefore) {
      const others = kernels.filter(({ address }) => state.operatorBan(address) === undefined);
      all = others.length === 0 ? operators : [...operators, ...others].sort(byNetwork);
    }
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

/** The sorted places of exactly `addresses`: `known` itself where these are they. */
function updated(known: readonly Place[], addresses: readonly string[]): readonly Place[] {
  const wanted = new Set(addresses);
  const kept = known.filter(({ address }) => wanted.has(address));
  for (const { address } of kept) wanted.delete(address);
  if (kept.length === known.length && wanted.size === 0) return known;
  const added = [...wanted].map((address) => ({ address, network: parseNetwork(address) }));
  return [...kept, ...added].sort(byNetwork);
}

function byNetwork(a: Place, b: Place): number {
  return compareNetworks(a.network, b.network);
}
