// What the tests' programs in Perl are spoken to in: lengths and numbers in 4 bytes, the highest first.
import type { Readable } from "node:stream";

/** Calls back for each frame, without its length, that comes out of a stream. */
export function readFrames(stream: Readable | null, onFrame: (frame: Buffer) => void): void {
  let parts: Buffer[] = [];
  let [received, wanted] = [0, 4];
  stream?.on("data", (part: Buffer) => {
    parts.push(part);
    received += part.length;
    if (received < wanted) return;
    let all = Buffer.concat(parts);
    while (all.length >= 4 && all.length >= 4 + all.readUInt32BE(0)) {
      const end = 4 + all.readUInt32BE(0);
      onFrame(all.subarray(4, end));
      all = all.subarray(end);
    }
    wanted = all.length < 4 ? 4 : 4 + all.readUInt32BE(0);
    parts = [all];
    received = all.length;
  });
}

/** Texts that stand one after another, each with its length in front. */
export function textsOf(frame: Buffer): readonly string[] {
  const texts: string[] = [];
  for (let start = 0; start < frame.length; ) {
    const end = start + 4 + frame.readUInt32BE(start);
    texts.push(frame.toString("utf8", start + 4, end));
    start = end;
  }
  return texts;
}

/** A text or bytes with the length in front. */
export function framed(content: string | Buffer): readonly Buffer[] {
  return [number(Buffer.byteLength(content)), Buffer.from(content)];
}

/** A whole number in 4 bytes. */
export function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
