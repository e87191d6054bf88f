import { hostAddresses, type Network } from "../../test/support/namespaces.ts";

const perCall = 50_000;

/** Writes established TCP connections to the host into its table of connections, from as many sources as there are. */
export async function trackConnections(network: Network, count: number, port: number): Promise<void> {
  for (let begun = 0; begun < count; begun += perCall) {
    const lines = Array.from({ length: Math.min(perCall, count - begun) }, (_, n) => entry(begun + n, port));
    // Node's own pipe is a socket, which conntrack can't open anew.
    await network.exec("host", "sh", ["-c", "cat | conntrack --load-file -"], `${lines.join("\n")}\n`);
  }
  const tracked = Number(await network.exec("host", "conntrack", ["-C"]));
  if (tracked < count) throw new Error(`the kernel tracks ${tracked} connections instead of ${count}`);
}

function entry(number: number, port: number): string {
  const [source, host] = [`10.9.${(number >> 8) & 0xff}.${number & 0xff}`, hostAddresses[4]];
  const sourcePort = 20_000 + (number >> 16);
  return [
    `-I -s ${source} -d ${host} -r ${host} -q ${source} -p tcp --sport ${sourcePort} --dport ${port}`,
    `--reply-port-src ${port} --reply-port-dst ${sourcePort} --state ESTABLISHED -u SEEN_REPLY,ASSURED -t 3600`,
  ].join(" ");
}
