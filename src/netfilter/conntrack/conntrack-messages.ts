import { formatNetwork, isSingleAddress, type Network } from "../../domain/network.ts";
import type { TrackedConnection } from "./conntrack-lines.ts";

// Messages of linux/netlink.h, nfnetlink.h and nfnetlink_conntrack.h. Their own numbers are in the byte order of the processor, which is
// taken to be little-endian: another one's kernel does not answer. Addresses and ports are in that of the network.

/**
 * How an answer ended: `refused` with an error or what nobody understands, `unfiltered` where the kernel tells more than it was asked for, as
 * those before 5.8 do.
 */
export type AnswerEnd = "done" | "refused" | "unfiltered";

/** What the kernel says to one request. */
export interface DumpAnswer {
  /** Takes what has come, in pieces of any size. @returns how the answer ended; null until it has */
  take(piece: Buffer): AnswerEnd | null;
  /** The open ones so far, with addresses in canonical form. */
  readonly connections: readonly TrackedConnection[];
}

const nested = 0x8000;
const typeBits = 0x3fff;
const messages = { error: 2, done: 3, connection: 0x100, ask: 0x101 } as const;
/** NLM_F_REQUEST and NLM_F_DUMP. */
const asksForAll = 0x301;
const messageHeader = 16;
/** Version, family and resource id of `nfgenmsg`. */
const familyHeader = 4;
const attributeHeader = 4;
/** More than the kernel sends at a time. */
const longestMessage = 65_536;
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
  const body = Buffer.concat([
    Buffer.of(ipv4, 0, 0, 0),
    nest(
      parts.original,
      nest(tuple.addresses, attribute(sourceOf4, Buffer.from(source.bytes))),
      nest(tuple.protocol, attribute(protocol.number, Buffer.of(tcp))),
    ),
    nest(parts.filter, attribute(filter.original, word(sourceAddress | protocolNumber)), attribute(filter.reply, word(0))),
  ]);
  const header = Buffer.alloc(messageHeader);
  header.writeUInt32LE(messageHeader + body.length, 0);
  header.writeUInt16LE(messages.ask, 4);
  header.writeUInt16LE(asksForAll, 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([header, body]);
}

/** Reads the answer to `dumpRequest(source, sequence)`; what belongs to another request is passed over. */
export function createDumpAnswer(source: Network, sequence: number): DumpAnswer {
  const connections: TrackedConnection[] = [];
  const [asked, text] = [Buffer.from(source.bytes), formatNetwork(source)];
  const seen = new Set<string>();
  let rest: Buffer = Buffer.alloc(0);
  let end: AnswerEnd | null = null;

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

  const read = (message: Buffer): AnswerEnd | null => {
    if (message.readUInt32LE(8) !== sequence) return null;
    switch (message.readUInt16LE(4)) {
      case messages.connection:
        return readConnection(message.subarray(messageHeader + familyHeader));
      case messages.done:
        return message.length >= messageHeader + 4 && message.readInt32LE(messageHeader) < 0 ? "refused" : "done";
      default:
        return "refused";
    }
  };

  return {
    connections,
    take: (piece) => {
      if (end !== null) return end;
      const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      let at = 0;
      while (end === null && bytes.length - at >= messageHeader) {
        const length = bytes.readUInt32LE(at);
        if (length < messageHeader || length > longestMessage) end = "refused";
        else if (bytes.length - at < aligned(length)) break;
        else end = read(bytes.subarray(at, at + length));
        at += aligned(length);
      }
      rest = bytes.subarray(at);
      return end;
    },
  };
}

/** What the attribute holds that a path of types leads to, each within the one before; undefined where there is none, or a length lies. */
function find(bytes: Buffer, ...path: readonly number[]): Buffer | undefined {
  let [at, end] = [0, bytes.length];
  for (const type of path) {
    let length = lengthAt(bytes, at, end);
    while (length !== undefined && (bytes.readUInt16LE(at + 2) & typeBits) !== type) {
      at += aligned(length);
      length = lengthAt(bytes, at, end);
    }
    if (length === undefined) return undefined;
    end = at + length;
    at += attributeHeader;
  }
  return bytes.subarray(at, end);
}

/** Of the attribute that begins there, its header included; undefined where none does that ends in time. */
function lengthAt(bytes: Buffer, at: number, end: number): number | undefined {
  if (end - at < attributeHeader) return undefined;
  const length = bytes.readUInt16LE(at);
  return length < attributeHeader || length > end - at ? undefined : length;
}

function attribute(type: number, content: Buffer): Buffer {
  const bytes = Buffer.alloc(aligned(attributeHeader + content.length));
  bytes.writeUInt16LE(attributeHeader + content.length, 0);
  bytes.writeUInt16LE(type, 2);
  content.copy(bytes, attributeHeader);
  return bytes;
}

function nest(type: number, ...attributes: readonly Buffer[]): Buffer {
  return attribute(type | nested, Buffer.concat(attributes));
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Messages and attributes begin at multiples of four bytes. */
function aligned(length: number): number {
  return (length + 3) & ~3;
}
