import assert from "node:assert/strict";
import { after, before } from "node:test";
import { type Agent, type Attempt, type BurstResult, defaultTimeout, type EchoOutcome, startAgents } from "./agent.ts";
import { createNetwork, hostAddresses, type Network } from "./namespaces.ts";

/** Clients and echo servers on a network, in the words of a test. */
export interface Traffic {
  readonly host: Agent;
  readonly client: Agent;
  /** Starts echo servers on these ports of the host, in both families. */
  serve(...ports: readonly number[]): Promise<void>;
  /** Opens connections from a source and keeps them; resolves with their ids. @throws {Error} when one is not accepted */
  hold(from: string, port: number, count?: number): Promise<readonly number[]>;
  /** Tries one connection from a source and closes it again at once. */
  knock(from: string, port: number, timeout?: number): Promise<Attempt["outcome"]>;
  /** Tries one connection from each of many sources and drops it again; resolves with the sources by outcome. */
  knockAll(
    from: readonly string[],
    port: number,
    timeout?: number,
  ): Promise<Partial<Record<Attempt["outcome"], readonly string[]>>>;
  /** Opens one connection more than `limit` from each of many sources, then drops them; the result tells when each was refused. */
  exceed(from: readonly string[], port: number, limit: number): Promise<readonly BurstResult[]>;
  /** Sends over an open connection. */
  send(connection: number, timeout?: number): Promise<EchoOutcome>;
  /** Closes connections in the orderly way. */
  close(connections: readonly number[]): Promise<void>;
}

/** Starts an agent in each namespace and echo servers on the ports. */
export async function startTraffic(network: Network, ...ports: readonly number[]): Promise<Traffic> {
  const { host, client } = startAgents(network);
  const target = (from: string, port: number) => ({ from, to: hostAddresses[from.includes(":") ? 6 : 4], port });

  const served = new Set<number>();
  const traffic: Traffic = {
    host,
    client,
    async serve(...more) {
      const missing = more.filter((port) => !served.has(port));
      for (const port of missing) served.add(port);
      await Promise.all(missing.flatMap((port) => Object.values(hostAddresses).map((address) => host.listen(address, port))));
    },
    async hold(from, port, count = 1) {
      const attempts = Array.from({ length: count }, () => client.connect({ ...target(from, port), timeout: 5_000 }));
      return (await Promise.all(attempts)).map((attempt) => {
        assert.equal(attempt.outcome, "connected", `a connection from ${from} to port ${port}`);
        return attempt.outcome === "connected" ? attempt.connection : Number.NaN;
      });
    },
    async knock(from, port, timeout) {
      const attempt = await client.connect({ ...target(from, port), ...(timeout === undefined ? {} : { timeout }) });
      if (attempt.outcome === "connected") await client.close(attempt.connection);
      return attempt.outcome;
    },
    async knockAll(from, port, timeout = defaultTimeout) {
      const results = await client.burst({ targets: from.map((source) => target(source, port)), each: 1, timeout });
      const sources = Map.groupBy(results, ({ outcome }) => outcome);
      return Object.fromEntries([...sources].map(([outcome, some]) => [outcome, some.map((one) => one.from)]));
    },
    exceed: (from, port, limit) =>
      client.burst({ targets: from.map((source) => target(source, port)), each: limit + 1, timeout: 5_000 }),
    send: (connection, timeout) => client.send(connection, timeout),
    async close(connections) {
      await Promise.all(connections.map((connection) => client.close(connection)));
    },
  };
  await traffic.serve(...ports);
  return traffic;
}

/** One network with traffic for all tests of the enclosing `describe`, without a service; the result gives it once they run. */
export function shareTraffic(...ports: readonly number[]): () => { readonly network: Network; readonly traffic: Traffic } {
  let shared: { readonly network: Network; readonly traffic: Traffic } | undefined;
  before(async () => {
    const network = await createNetwork();
    shared = { network, traffic: await startTraffic(network, ...ports) };
  });
  after(() => shared?.network.dispose());
  return () => {
    if (shared === undefined) throw new Error("the network is there only while the tests run");
    return shared;
  };
}
