import { join } from "node:path";
import { createInterface } from "node:readline";
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

/** What goes over an agent's stdin. */
export type AgentCommand =
  | { readonly op: "listen"; readonly address: string; readonly port: number }
  | ({ readonly op: "connect"; readonly timeout: number } & Target)
  | ({ readonly op: "burst" } & Burst)
  | { readonly op: "send"; readonly connection: number; readonly timeout: number }
  | { readonly op: "close"; readonly connection: number }
  | { readonly op: "state" };

/** What comes back over an agent's stdout. */
export interface AgentReply {
  readonly id: number;
  readonly result?: Attempt | readonly BurstResult[] | EchoOutcome | AgentState | null;
  readonly error?: string;
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

/** Starts an agent; it ends with the network. */
export function startAgent(network: Network, side: Side): Agent {
  const child = network.spawn(side, process.execPath, [join(import.meta.dirname, "net-agent.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const waiting = new Map<number, { resolve(result: AgentReply["result"]): void; reject(error: Error): void }>();
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error("the agent has no pipes");
  let nextId = 1;

  createInterface({ input: stdout }).on("line", (line) => {
    const answer = JSON.parse(line) as AgentReply;
    const caller = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.error === undefined) caller?.resolve(answer.result);
    else caller?.reject(new Error(`agent in ${side}: ${answer.error}`));
  });
  child.once("close", () => {
    for (const { reject } of waiting.values()) reject(new Error(`the agent in ${side} ended`));
  });
  stdin.on("error", () => {});

  const ask = (command: AgentCommand): Promise<AgentReply["result"]> =>
    new Promise((resolve, reject) => {
      if (child.exitCode !== null || child.signalCode !== null) return reject(new Error(`the agent in ${side} has ended`));
      const id = nextId++;
      waiting.set(id, { resolve, reject });
      stdin.write(`${JSON.stringify({ id, command })}\n`);
    });
  return {
    async listen(address, port) {
      await ask({ op: "listen", address, port });
    },
    connect: async (target) => (await ask({ op: "connect", timeout: defaultTimeout, ...target })) as Attempt,
    burst: async (burst) => (await ask({ op: "burst", ...burst })) as readonly BurstResult[],
    send: async (connection, timeout = defaultTimeout) => (await ask({ op: "send", connection, timeout })) as EchoOutcome,
    async close(connection) {
      await ask({ op: "close", connection });
    },
    state: async () => (await ask({ op: "state" })) as AgentState,
  };
}
