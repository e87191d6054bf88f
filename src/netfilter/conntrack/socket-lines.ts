import { formatNetwork, parseAddress } from "../../domain/network.ts";

/** One TCP socket of this host that is connected. Canonical addresses. */
export interface ConnectedSocket {
  readonly peer: string;
  readonly localPort: number;
}

/** One that waits for connections. */
export interface ListeningSocket {
  readonly peer: null;
  readonly localPort: number;
}

/** SYN_RECV, TIME_WAIT and CLOSE of net/tcp_states.h: not yet, or not any more. Anybody can send a SYN in anybody's name. */
const unconnected = new Set(["03", "06", "07"]);
const listens = "0A";

/** Reads a line of /proc/net/tcp or /proc/net/tcp6: `sl local_address rem_address st ...`, addresses in words of the host's byte order. */
export function parseSocketLine(line: string): ConnectedSocket | ListeningSocket | undefined {
  const [, local = "", remote = "", state = ""] = line.trim().split(/\s+/);
  const [address, remotePort] = remote.split(":");
  const [, localPort] = local.split(":");
  if (!address || !/^[0-9A-F]{8,32}$/.test(address) || !localPort || unconnected.has(state)) return undefined;
  if (state === listens) return { peer: null, localPort: Number.parseInt(localPort, 16) };
  if (remotePort === "0000") return undefined;
  return { peer: addressOf(address), localPort: Number.parseInt(localPort, 16) };
}

function addressOf(hexadecimal: string): string {
  const bytes = (hexadecimal.match(/.{8}/g) ?? []).flatMap((word) => [6, 4, 2, 0].map((at) => word.slice(at, at + 2)));
  if (bytes.length === 4) return bytes.map((byte) => Number.parseInt(byte, 16)).join(".");
  const groups = Array.from({ length: 8 }, (_, index) => `${bytes[2 * index]}${bytes[2 * index + 1]}`);
  return formatNetwork(parseAddress(groups.join(":")));
}
