// Messages of linux/netlink.h and nfnetlink.h. Their own numbers are in the byte order of the processor, which is taken to be little-endian: another
// one's kernel does not answer. What they tell is in that of the network.

/** How an answer ended: `refused` with an error or what nobody understands. */
export type AnswerEnd = "done" | "refused";

const types = { error: 2, done: 3 } as const;
/** NLM_F_REQUEST, and NLM_F_DUMP for all there are. */
const flags = { one: 0x001, all: 0x301 } as const;
const messageHeader = 16;
/** Version, family and resource id of `nfgenmsg`. */
const familyHeader = 4;
const attributeHeader = 4;
/** More than the kernel sends at a time. */
const longestMessage = 65_536;
const nested = 0x8000;
const typeBits = 0x3fff;

/** What a request of netfilter's asks for. */
export interface Question {
  readonly type: number;
  /** Whether all there are are asked for. */
  readonly of: keyof typeof flags;
  readonly family: number;
  readonly attributes: readonly Buffer[];
}

export function requestOf({ type, of, family, attributes }: Question, sequence: number): Buffer {
  const body = Buffer.concat([Buffer.of(family, 0, 0, 0), ...attributes]);
  const header = Buffer.alloc(messageHeader);
  header.writeUInt32LE(messageHeader + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags[of], 6);
  header.writeUInt32LE(sequence, 8);
  return Buffer.concat([header, body]);
}

/**
 * Reads what the kernel says to the request of this number; what belongs to another one is passed over.
 * @param read is given the attributes of each message of that type; how the answer ended, null where more is to come
 * @returns takes what has come, in pieces of any size; how the answer ended, null until it has
 */
export function answerReader<End extends string>(
  sequence: number,
  type: number,
  read: (attributes: Buffer) => End | null,
): (piece: Buffer) => End | AnswerEnd | null {
  let rest: Buffer = Buffer.alloc(0);
  let end: End | AnswerEnd | null = null;

  const readMessage = (message: Buffer): End | AnswerEnd | null => {
    if (message.readUInt32LE(8) !== sequence) return null;
    switch (message.readUInt16LE(4)) {
      case type:
        return read(message.subarray(messageHeader + familyHeader));
      case types.done:
        return message.length >= messageHeader + 4 && message.readInt32LE(messageHeader) < 0 ? "refused" : "done";
      default:
        return "refused";
    }
  };

  return (piece) => {
    if (end !== null) return end;
    const bytes = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let at = 0;
    while (end === null && bytes.length - at >= messageHeader) {
      const length = bytes.readUInt32LE(at);
      if (length < messageHeader || length > longestMessage) end = "refused";
      else if (bytes.length - at < aligned(length)) break;
      else end = readMessage(bytes.subarray(at, at + length));
      at += aligned(length);
    }
    rest = bytes.subarray(at);
    return end;
  };
}

/** What the attribute holds that a path of types leads to, each within the one before; undefined where there is none, or a length lies. */
export function find(bytes: Buffer, ...path: readonly number[]): Buffer | undefined {
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

export function attribute(type: number, content: Buffer): Buffer {
  const bytes = Buffer.alloc(aligned(attributeHeader + content.length));
  bytes.writeUInt16LE(attributeHeader + content.length, 0);
  bytes.writeUInt16LE(type, 2);
  content.copy(bytes, attributeHeader);
  return bytes;
}

export function nest(type: number, ...attributes: readonly Buffer[]): Buffer {
  return attribute(type | nested, Buffer.concat(attributes));
}

/** A number in the byte order of the processor. */
export function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Messages and attributes begin at multiples of four bytes. */
function aligned(length: number): number {
  return (length + 3) & ~3;
}
