import { contains, parseNetwork } from "../../src/domain/network.ts";
import type { Connections } from "../../src/domain/ports.ts";

/** Connections in memory. */
export interface FakeConnections extends Connections {
  /** What `sever` was asked, oldest first. */
  readonly severed: readonly (readonly string[])[];
  /** Opens `count` connections from `source` (canonical) to `port`. */
  open(source: string, port: number, count?: number): void;
  /** Makes every call fail with `error` until it is called with `undefined`. */
  fail(error: Error | undefined): void;
}

export function createFakeConnections(): FakeConnections {
  let connections: readonly { readonly source: string; readonly port: number }[] = [];
  const severed: (readonly string[])[] = [];
  let failure: Error | undefined;
  return {
    severed,
    open(source, port, count = 1) {
      connections = [...connections, ...Array.from({ length: count }, () => ({ source, port }))];
    },
    fail(error) {
      failure = error;
    },
    async scan(visit, within) {
      if (failure !== undefined) throw failure;
      for (const { source, port } of connections) {
        if (within === undefined || contains(within, parseNetwork(source))) visit(source, port);
      }
    },
    async sever(networks) {
      severed.push(networks);
      if (failure !== undefined) throw failure;
      const ending = networks.map(parseNetwork);
      const kept = connections.filter(({ source }) => !ending.some((network) => contains(network, parseNetwork(source))));
      const count = connections.length - kept.length;
      connections = kept;
      return count;
    },
  };
}
