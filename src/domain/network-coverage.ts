import { type Family, formatNetwork, maskNetwork, type Network } from "./network.ts";

/** Says whether an address is in one of `networks`; as quick for thousands of them as for a few. */
export function createCoverage(networks: readonly Network[]): (address: Network) => boolean {
  const covering = findCovering(networks);
  return (address) => covering(address) !== undefined;
}

/** Finds the widest of `networks` that holds an address, as canonical text; as quick for thousands of them as for a few. */
export function findCovering(networks: readonly Network[]): (address: Network) => string | undefined {
  const byPrefix = { 4: new Map<number, Set<string>>(), 6: new Map<number, Set<string>>() } satisfies Record<Family, unknown>;
  for (const network of networks.toSorted((a, b) => a.prefix - b.prefix)) {
    const alike = byPrefix[network.family].get(network.prefix);
    if (alike === undefined) byPrefix[network.family].set(network.prefix, new Set([formatNetwork(network)]));
    else alike.add(formatNetwork(network));
  }
  return (address) => {
    for (const [prefix, alike] of byPrefix[address.family]) {
      const text = formatNetwork(maskNetwork(address, prefix));
      if (alike.has(text)) return text;
    }
    return undefined;
  };
}
