import { compareNetworks, type Network, parseNetwork } from "./network.ts";
import type { Distribution, OpenConnections } from "./services.ts";

/** Counts open connections by source. */
export interface SourceCounter {
  /** @param source canonical address */
  visit(source: string): void;
  result(): OpenConnections;
}

interface Count {
  readonly source: string;
  readonly network: Network;
  connections: number;
}

export function createSourceCounter(): SourceCounter {
  const counts = new Map<string, Count>();
  return {
    visit(source) {
      const count = counts.get(source);
      if (count === undefined) counts.set(source, { source, network: parseNetwork(source), connections: 1 });
      else count.connections += 1;
    },
    result() {
      const sorted = [...counts.values()].sort((a, b) => b.connections - a.connections || compareNetworks(a.network, b.network));
      const sources = sorted.map(({ source, connections }) => ({ source, connections }));
      return { sources, distribution: distributionOf(sources.map(({ connections }) => connections)) };
    },
  };
}

/** @param descending connections of each source, most first */
function distributionOf(descending: readonly number[]): Distribution {
  const sources = descending.length;
  /** The least number that so many percent of the sources do not exceed. */
  const percentile = (percent: number): number => descending[sources - Math.ceil((percent * sources) / 100)] ?? 0;
  return {
    sources,
    connections: descending.reduce((sum, connections) => sum + connections, 0),
    max: descending[0] ?? 0,
    p99: percentile(99),
    p50: percentile(50),
  };
}
