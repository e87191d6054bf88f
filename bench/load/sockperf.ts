import { hostAddresses, type Network } from "../../test/support/namespaces.ts";
import { untilListening } from "./instrumented-service.ts";

/** Starts a server that answers each small message with one of the same size; it lives as long as the network. */
export async function startPongServer(network: Network, port: number): Promise<void> {
  network.spawn("host", "sockperf", ["server", "--tcp", "-i", hostAddresses[4], "-p", String(port)], { stdio: "ignore" });
  await untilListening(network, `${hostAddresses[4]}:${port}`);
}

/** Lets clients ping-pong over established connections; resolves with the exchanges per second of all of them. */
export async function pingPong(
  network: Network,
  options: { readonly port: number; readonly clients: number; readonly seconds: number },
) {
  const { port, clients, seconds } = options;
  const args = ["ping-pong", "--tcp", "-i", hostAddresses[4], "-p", String(port), "-m", "14", "-t", String(seconds + 1)];
  const outputs = await Promise.all(Array.from({ length: clients }, () => network.tryExec("client", "sockperf", args)));
  // A client that never got its turn says that no messages came.
  const exchanges = outputs.map(({ stdout }) => {
    const [, time, count] =
      /\[Valid Duration\] RunTime=([\d.]+) sec; SentMessages=\d+; ReceivedMessages=(\d+)/.exec(stdout) ?? [];
    return time === undefined ? 0 : Number(count) / Number(time);
  });
  const sum = exchanges.reduce((all, one) => all + one, 0);
  if (sum === 0)
    throw new Error(`sockperf has exchanged nothing in ${network.names.host}: ${outputs[0]?.stdout}${outputs[0]?.stderr}`);
  return sum;
}
