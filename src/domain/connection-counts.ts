import { contains, formatNetwork, maskNetwork, type Network, parseNetwork } from "./network.ts";
import type { Policy } from "./policy.ts";

/** Connections per counted source, as one policy tells sources apart. */
export interface PolicyCount {
  readonly policy: Policy;
  /** By canonical address, or network where the policy counts by a shorter prefix. */
  readonly counts: ReadonlyMap<string, number>;
  /** The same of those whom it never counts. */
  readonly spared: Readonly<Record<"exempt" | "protected", ReadonlyMap<string, number>>>;
}

/** Counts connections for several policies in one walk. */
export interface ConnectionCounter {
  readonly results: readonly PolicyCount[];
  /** @param source canonical address */
  visit(source: string, port: number): void;
}

/** The network by which `policy` counts `source`. */
export function countedNetwork({ countPer }: Policy, source: Network): Network {
  return maskNetwork(source, source.family === 4 ? countPer.ipv4Prefix : countPer.ipv6Prefix);
}

/** True when one of `networks` holds all of `network`. */
export function isWithin(network: Network, networks: readonly Network[]): boolean {
  return networks.some((candidate) => contains(candidate, network));
}

export interface CounterOptions {
  readonly policies: readonly Policy[];
  readonly protectedNetworks: readonly Network[];
  /** Counts only what counts for this source. */
  readonly only?: Network;
}

/** Counts as the policies do: on their ports, with exempt and protected sources apart. Each source is parsed once per policy. */
export function createConnectionCounter({ policies, protectedNetworks, only }: CounterOptions): ConnectionCounter {
  const tallies = policies.map((policy) => createTally(policy, protectedNetworks, only));
  const byPort = new Map<number, Tally[]>();
  for (const tally of tallies) {
    for (const port of tally.policy.ports) byPort.set(port, [...(byPort.get(port) ?? []), tally]);
  }
  return {
    results: tallies,
    visit(source, port) {
      for (const tally of byPort.get(port) ?? []) tally.add(source);
    },
  };
}

interface Tally extends PolicyCount {
  add(source: string): void;
}

function createTally(policy: Policy, protectedNetworks: readonly Network[], only: Network | undefined): Tally {
  const counts = new Map<string, number>();
  const spared = { exempt: new Map<string, number>(), protected: new Map<string, number>() };
  const places = new Map<string, Place | null>();
  const wanted = only && countedNetwork(policy, only);
  const exempt = policy.exempt.map(parseNetwork);

  /** Where `source` is counted; `null` when it is not. */
  function placeOf(source: string): Place | null {
    // Spares most sources the parsing.
    if (only !== undefined && source.includes(":") !== (only.family === 6)) return null;
    const network = parseNetwork(source);
    if (wanted !== undefined && !contains(wanted, network)) return null;
    const name = formatNetwork(countedNetwork(policy, network));
    if (isWithin(network, protectedNetworks)) return { name, tally: spared.protected };
    return { name, tally: isWithin(network, exempt) ? spared.exempt : counts };
  }

  return {
    policy,
    counts,
    spared,
    add(source) {
      let place = places.get(source);
      if (place === undefined) {
        place = placeOf(source);
        places.set(source, place);
      }
      if (place !== null) place.tally.set(place.name, (place.tally.get(place.name) ?? 0) + 1);
    },
  };
}

interface Place {
  readonly name: string;
  readonly tally: Map<string, number>;
}
