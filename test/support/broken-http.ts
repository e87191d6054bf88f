// HTTP that is nearly, or not at all, what it should be, as bytes on a connection.
import { once } from "node:events";
import { connect, type NetConnectOpts } from "node:net";
import fc from "fast-check";
import { anyCharacter } from "./any-character.ts";

const seeds = (access: string): readonly string[] => [
  `GET /v1/policies HTTP/1.1\r\nHost: 127.0.0.1\r\n${access}\r\n`,
  `GET /v1/bans?covers=203.0.113.9&limit=10 HTTP/1.1\r\nHost: 127.0.0.1\r\n${access}Accept: */*\r\n\r\n`,
  `PUT /v1/bans/203.0.113.9 HTTP/1.1\r\nHost: 127.0.0.1\r\n${access}Content-Type: application/json\r\nContent-Length: 19\r\n\r\n{"reason":"broken"}`,
  `PUT /v1/policies/web HTTP/1.1\r\nHost: 127.0.0.1\r\n${access}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1f\r\n{"ports":[80],"maxConnections":\r\n2\r\n1}\r\n0\r\n\r\n`,
  `DELETE /v1/bans/203.0.113.9 HTTP/1.1\r\nHost: 127.0.0.1\r\n${access}Connection: close\r\n\r\n`,
  "GET /livez HTTP/1.0\r\n\r\nGET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
  `POST /v1/policies HTTP/1.1\r\nHost: 127.0.0.1\r\n${access}Expect: 100-continue\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
];

const pieces = [
  "\r\n",
  "\n",
  "\0",
  " ",
  ":",
  "HTTP/1.1",
  "Content-Length: 5\r\n",
  "Content-Length: -1\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: gzip, chunked\r\n",
  "Host: b\r\n",
  "Upgrade: h2c\r\nConnection: Upgrade\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "CONNECT a:1 HTTP/1.1\r\n",
  "OPTIONS * HTTP/1.1\r\n",
  "\u0016\u0003\u0001",
  `X: ${"x".repeat(20_000)}\r\n`,
  "ffffffffffffffff\r\n",
  "%",
  "\u00ff\u00fe",
];

const damage = fc.record({
  at: fc.nat(),
  length: fc.nat(12),
  how: fc.constantFrom("flip" as const, "cut" as const, "insert" as const, "repeat" as const, "end" as const),
  piece: fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: anyCharacter, maxLength: 8 })),
  byte: fc.nat(255),
});

/** Bytes of a good request with at least `least` faults, and five at most. */
export function brokenRequests(access: string, least = 1): fc.Arbitrary<Buffer> {
  return fc
    .tuple(fc.constantFrom(...seeds(access)), fc.array(damage, { minLength: least, maxLength: 5 }))
    .map(([seed, damages]) => damages.reduce(damaged, Buffer.from(seed, "latin1")));
}

function damaged(
  bytes: Buffer,
  { at, length, how, piece, byte }: typeof damage extends fc.Arbitrary<infer D> ? D : never,
): Buffer {
  const place = bytes.length === 0 ? 0 : at % bytes.length;
  const [before, after] = [bytes.subarray(0, place), bytes.subarray(place)];
  if (how === "flip") return Buffer.concat([before, Buffer.from([byte]), after.subarray(1)]);
  if (how === "cut") return Buffer.concat([before, after.subarray(length)]);
  if (how === "insert") return Buffer.concat([before, Buffer.from(piece, "latin1"), after]);
  if (how === "repeat") return Buffer.concat([before, after.subarray(0, length), after]);
  return Buffer.from(before);
}

/** Sends bytes, ends, and resolves with the statuses of what came back once the connection is over. @throws {Error} after `patience` milliseconds */
export async function statusesFor(target: NetConnectOpts, bytes: Buffer, patience = 10_000): Promise<readonly number[]> {
  const socket = connect(target);
  let text = "";
  socket.setEncoding("latin1").on("data", (part: string) => {
    text += part;
  });
  // A reset is an end like another.
  socket.on("error", () => {});
  const late = setTimeout(() => socket.destroy(), patience);
  socket.end(bytes);
  await once(socket, "close");
  clearTimeout(late);
  return [...text.matchAll(/^HTTP\/1\.[01] ([0-9]{3}) /gm)].map(([, status]) => Number(status));
}
