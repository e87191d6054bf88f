import { formatNetwork, isSingleAddress, type Network } from "../../domain/network.ts";
import { answerReader, attribute, type AnswerEnd as End, find, nest, requestOf, word } from "../netlink/messages.ts";
import type { TrackedConnection } from "./conntrack-lines.ts";

// Messages of linux/nfnetlink_conntrack.h.

/** How an answer ended: `unfiltered` where the kernel tells more than it was asked for, as those before 5.8 do. */
export type AnswerEnd = End | "unfiltered";

/** What the kernel says to one request. */
export interface DumpAnswer {
  /** Takes what has come, in pieces of any size. @returns how the answer ended; null until it has */
  take(piece: Buffer): AnswerEnd | null;
  /** The open ones so far, with addresses in canonical form. */
  readonly connections: readonly TrackedConnection[];
}

/** IPCTNL_MSG_CT_NEW and IPCTNL_MSG_CT_GET of NFNL_SUBSYS_CTNETLINK. */
const messages = { connection: 0x100, ask: 0x101 } as const;
const ipv4 = 2;
const tcp = 6;
/** CTA_*. */
const parts = { original: 1, reply: 2, protocolInfo: 4, id: 12, filter: 25 } as const;
/** CTA_TUPLE_*. */
const tuple = { addresses: 1, protocol: 2 } as const;
/** CTA_IP_V4_SRC. */
const sourceOf4 = 1;
/** CTA_PROTO_*. */
const protocol = { number: 1, sourcePort: 2 } as const;
/** CTA_PROTOINFO_TCP, and CTA_PROTOINFO_TCP_STATE in it. */
const tcpState = [1, 1] as const;
/** CTA_FILTER_*, which hold what of either direction has to be as in the request: bits of CTA_FILTER_F_*. */
const filter = { original: 1, reply: 2 } as const;
const [sourceAddress, protocolNumber] = [0x1, 0x8];
/** connlimit counts a connection in any state but these: TCP_CONNTRACK_TIME_WAIT and TCP_CONNTRACK_CLOSE. */
const closedStates: readonly (number | undefined)[] = [7, 8];

/**
 * Whether the kernel picks out what is from there: single addresses, and of IPv4. Of IPv6 it tells all but those that were asked for
 * (`!ipv6_addr_cmp` in `ctnetlink_filter_match_tuple`, from 5.8 on; so does 6.18).
 */
export function isFilterable(source: Network): boolean {
  return source.family === 4 && isSingleAddress(source);
}

/** Asks for the TCP connections that one address has opened. */
export function dumpRequest(source: Network, sequence: number): Buffer {
  const attributes = [
    nest(
      parts.original,
      nest(tuple.addresses, attribute(sourceOf4, Buffer.from(source.bytes))),
      nest(tuple.protocol, attribute(protocol.number, Buffer.of(tcp))),
    ),
    nest(parts.filter, attribute(filter.original, word(sourceAddress | protocolNumber)), attribute(filter.reply, word(0))),
  ];
  return requestOf({ type: messages.ask, of: "all", family: ipv4, attributes }, sequence);
}

/** Reads the answer to `dumpRequest(source, sequence)`; what belongs to another request is passed over. */
export function createDumpAnswer(source: Network, sequence: number): DumpAnswer {
  const connections: TrackedConnection[] = [];
  const [asked, text] = [Buffer.from(source.bytes), formatNetwork(source)];
  const seen = new Set<string>();
  const readConnection = (bytes: Buffer): AnswerEnd | null => {
    const original = find(bytes, parts.original);
    const number = find(bytes, parts.original, tuple.protocol, protocol.number);
    const opener = find(bytes, parts.original, tuple.addresses, sourceOf4);
    if (original === undefined || opener === undefined || number?.length !== 1) return "refused";
    if (number[0] !== tcp || !opener.equals(asked)) return "unfiltered";
    const destination = find(bytes, parts.reply, tuple.addresses, sourceOf4);
    const port = find(bytes, parts.reply, tuple.protocol, protocol.sourcePort);
    if (destination?.length !== asked.length || port?.length !== 2) return "refused";
    // The kernel begins a bucket anew when the connection that it stopped at has gone meanwhile.
    const key = `${original.toString("latin1")} ${find(bytes, parts.id)?.toString("latin1")}`;
    if (seen.has(key)) return null;
    seen.add(key);
    // One that was handed over to the hardware has none, and is open.
    const state = find(bytes, parts.protocolInfo, ...tcpState)?.[0];
    if (closedStates.includes(state)) return null;
    connections.push({ source: text, destination: destination.join("."), port: port.readUInt16BE() });
    return null;
  };

  return { connections, take: answerReader(sequence, messages.connection, readConnection) };
}
