import { once } from "node:events";
import { hostAddresses, type Network } from "../../test/support/namespaces.ts";
import { untilListening } from "./instrumented-service.ts";

export interface PingPongOptions {
  /** The first of the servers' ports; the others follow it. */
  readonly port: number;
  /** Clients, and servers: a server of sockperf answers one connection at a time. */
  readonly clients: number;
  /** Of the load. */
  readonly seconds: number;
}

/** The part of the asked time that a client has to have measured, so that all measured at the same time. */
const leastPart = 0.9;

/**
 * Lets clients ping-pong over established connections, each with a server of its own; resolves with the exchanges per second of
 * all of them. The servers are new each time: where rules count every packet, connlimit drops the reset that ends a connection,
 * as it finds no connection to count any more (hotdrop in xt_connlimit), and a server would wait for its first client for ever.
 * @throws {Error} when one of them did not take part in the whole of it
 */
export async function pingPong(network: Network, options: PingPongOptions): Promise<number> {
  const { port, clients, seconds } = options;
  await using servers = new AsyncDisposableStack();
  for (const one of portsFrom(port, clients)) servers.defer(startServer(network, one));
  for (const one of portsFrom(port, clients)) await untilListening(network, `${hostAddresses[4]}:${one}`);
  const client = async (one: number): Promise<number> => {
    const args = ["ping-pong", "--tcp", "-i", hostAddresses[4], "-p", String(one), "-m", "14", "-t", String(seconds + 1)];
    const { stdout, stderr } = await network.tryExec("client", "sockperf", args);
    const [, time, count] =
      /\[Valid Duration\] RunTime=([\d.]+) sec; SentMessages=\d+; ReceivedMessages=(\d+)/.exec(stdout) ?? [];
    // It says nothing of a time in which it got no answer.
    if (Number(time) >= leastPart * seconds) return Number(count) / Number(time);
    throw new Error(`sockperf to port ${one} of ${network.names.host} measured ${time ?? 0} s: ${stdout}${stderr}`);
  };
  const perSecond = await Promise.all(portsFrom(port, clients).map(client));
  return perSecond.reduce((all, one) => all + one, 0);
}

/** Starts a server that answers each small message with one of the same size; returns its end. */
function startServer(network: Network, port: number): () => Promise<void> {
  const args = ["server", "--tcp", "-i", hostAddresses[4], "-p", String(port)];
  const server = network.spawn("host", "sockperf", args, { stdio: "ignore" });
  const closed = once(server, "close");
  return async () => {
    server.kill("SIGKILL");
    await closed;
  };
}

function portsFrom(first: number, count: number): readonly number[] {
  return Array.from({ length: count }, (_, n) => first + n);
}
