import type { OperatorBan } from "./ban.ts";
import { createExclusive } from "./exclusive.ts";
import { compareNetworks, formatNetwork, type Network, parseNetwork } from "./network.ts";
import type { DesiredState } from "./ports.ts";
import { inTurns, type Steps } from "./steps.ts";

/** Where a ban stands in the list. */
export interface Place {
  /** Canonical. */
  readonly address: string;
  readonly network: Network;
  /** The operator's cause, where there is one. */
  readonly operatorBan: OperatorBan | undefined;
}

/** The sorted places of all operator bans in `state`, as it is at one moment, and of the addresses that the kernel has banned. */
export type Places = (state: Pick<DesiredState, "operatorBans">, kernelAddresses: readonly string[]) => Promise<readonly Place[]>;

/** Only what has changed since the last call is parsed and sorted in, in turns of the event loop; who comes meanwhile finds it done. */
export function createPlaces(): Places {
  let last = {
    source: [] as readonly OperatorBan[],
    operators: [] as readonly Place[],
    kernels: [] as readonly Place[],
    all: [] as readonly Place[],
  };
  const exclusive = createExclusive();

  function* update(state: Parameters<Places>[0], kernelAddresses: readonly string[]): Steps<readonly Place[]> {
    const [source, before] = [state.operatorBans(), last];
    const bans = () => source.map((ban) => [ban.address, ban] as const);
    const operators = source === before.source ? before.operators : yield* updated(before.operators, bans());
    const kernels = yield* updated(
      before.kernels,
      kernelAddresses.map((address) => [address, undefined]),
    );
    const isAllSame = operators === before.operators && kernels === before.kernels;
    const all = isAllSame ? before.all : merged(operators, kernels);
    last = { source, operators, kernels, all };
    return all;
  }

  return (state, kernelAddresses) => exclusive(() => inTurns(update(state, kernelAddresses)));
}

export function placeOf(network: Network, state: Pick<DesiredState, "operatorBan">): Place {
  const address = formatNetwork(network);
  return { address, network, operatorBan: state.operatorBan(address) };
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

/** Entries of which a step takes care in a millisecond or two; the last step of a sort, which takes care of all, takes some more. */
const stepSize = 1024;

/** The sorted places of exactly these: `known` itself where it holds them. */
function* updated(
  known: readonly Place[],
  bans: readonly (readonly [address: string, ban: OperatorBan | undefined])[],
): Steps<readonly Place[]> {
  const wanted = new Map<string, OperatorBan | undefined>();
  for (const [index, [address, ban]] of bans.entries()) {
    wanted.set(address, ban);
    if (index % stepSize === 0) yield;
  }
  const kept: Place[] = [];
  let isSame = wanted.size === known.length;
  for (const [index, place] of known.entries()) {
    if (index % stepSize === 0) yield;
    const operatorBan = wanted.get(place.address);
    const stays = wanted.delete(place.address);
    if (stays) kept.push(operatorBan === place.operatorBan ? place : { ...place, operatorBan });
    if (!stays || operatorBan !== place.operatorBan) isSame = false;
  }
  if (isSame) return known;
  const added: Place[] = [];
  for (const [address, operatorBan] of wanted) {
    added.push({ address, network: parseNetwork(address), operatorBan });
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

/** Both in one order; of what is in both, those of `some`. */
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
