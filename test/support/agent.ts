import type { Socket } from "node:net";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { framed, number, readFrames, textsOf } from "./frames.ts";
import type { Network, Side } from "./namespaces.ts";

/** One TCP connection to make; `timeout` in milliseconds. */
export interface Target {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly timeout?: number;
}

/** What became of a connection attempt. `refused`: a reset or a port-unreachable came back. */
export type Attempt =
  | { readonly outcome: "connected"; readonly connection: number }
  | { readonly outcome: "refused" | "unreachable" | "timeout" };

/** What became of a line sent over an open connection. */
export type EchoOutcome = "echoed" | "reset" | "timeout";

/** What an agent holds now. */
export interface AgentState {
  readonly listening: readonly string[];
  /** Open connections on its servers. */
  readonly accepted: number;
  /** Where those come from. */
  readonly peers: readonly string[];
  /** Its own connections that are still open. */
  readonly open: readonly number[];
}

/** Connection attempts from many sources; `each`: how many a source makes, one after another, holding those before. */
export interface Burst {
  readonly targets: readonly Omit<Target, "timeout">[];
  readonly each: number;
  readonly timeout: number;
}

/** What became of one source's last attempt in a burst, and between which times; in milliseconds since the epoch. */
export interface BurstResult {
  readonly from: string;
  readonly outcome: Attempt["outcome"];
  readonly begun: number;
  readonly ended: number;
}

/** A process inside one namespace that makes and answers real TCP connections. */
export interface Agent {
  /** Starts an echo server. */
  listen(address: string, port: number): Promise<void>;
  connect(target: Target): Promise<Attempt>;
  /** Makes the attempts of all sources, many at a time, and drops every connection afterwards. */
  burst(burst: Burst): Promise<readonly BurstResult[]>;
  /** Sends one line over an open connection and waits for the echo. */
  send(connection: number, timeout?: number): Promise<EchoOutcome>;
  /** Ends a connection in the orderly way; resolves once it is closed. */
  close(connection: number): Promise<void>;
  state(): Promise<AgentState>;
}

/** Long enough for an answer over a veth pair on a busy machine, short enough for a test that expects none. */
export const defaultTimeout = 600;

/** Starts an agent in each namespace: one process, which forks, as a start of Perl for each would take twice the time. They end with the network. */
export function startAgents(network: Network): Readonly<Record<Side, Agent>> {
  const args = [join(import.meta.dirname, "net-agent.pl"), network.names.client];
  const child = network.spawn("host", "perl", args, { stdio: ["pipe", "pipe", "inherit", "pipe"] });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error("the agents have no pipes");
  const client = child.stdio[3] as Socket;
  return { host: agentOf("host", stdin, stdout), client: agentOf("client", client, client) };
}

/** An agent that is asked over `stdin` and answers over `stdout`. */
function agentOf(side: Side, stdin: Writable, stdout: Readable): Agent {
  const waiting = new Map<number, PromiseWithResolvers<readonly string[]>>();
  let nextId = 1;

  readFrames(stdout, (frame) => {
    const id = frame.readUInt32BE(0);
    const [status, ...results] = textsOf(frame.subarray(4));
    const caller = waiting.get(id);
    waiting.delete(id);
    if (status === "ok") caller?.resolve(results);
    else caller?.reject(new Error(`agent in ${side}: ${results.join(" ")}`));
  });
  let over = false;
  stdout.once("close", () => {
    over = true;
    for (const { reject } of waiting.values()) reject(new Error(`the agent in ${side} ended`));
  });
  stdin.on("error", () => {});

  const ask = (...words: readonly (string | number)[]): Promise<readonly string[]> => {
    if (over) return Promise.reject(new Error(`the agent in ${side} has ended`));
    const id = nextId++;
    const result = Promise.withResolvers<readonly string[]>();
    waiting.set(id, result);
    stdin.write(Buffer.concat(framed(Buffer.concat([number(id), ...words.flatMap((word) => framed(String(word)))]))));
    return result.promise;
  };
  return {
    async listen(address, port) {
      await ask("listen", address, port);
    },
    async connect({ from, to, port, timeout = defaultTimeout }) {
      const [outcome, connection] = await ask("connect", from, to, port, timeout);
      return outcome === "connected" ? { outcome, connection: Number(connection) } : ({ outcome } as Attempt);
    },
    async burst({ targets, each, timeout }) {
      const words = await ask("burst", each, timeout, ...targets.flatMap(({ from, to, port }) => [from, to, port]));
      const results: BurstResult[] = [];
      for (let at = 0; at < words.length; at += 4) {
        const [from = "", outcome, begun, ended] = words.slice(at, at + 4);
        results.push({ from, outcome: outcome as Attempt["outcome"], begun: Number(begun), ended: Number(ended) });
      }
      return results;
    },
    async send(connection, timeout = defaultTimeout) {
      const [outcome] = await ask("send", connection, timeout);
      return outcome as EchoOutcome;
    },
    async close(connection) {
      await ask("close", connection);
    },
    async state() {
      const [listening = [], peers = [], open = []] = (await ask("state")).map((list) => list.split(",").filter(Boolean));
      return { listening, accepted: peers.length, peers, open: open.map(Number) };
    },
  };
}
