import assert from "node:assert/strict";
import { endianness } from "node:os";
import { describe, test } from "node:test";
import { parseSocketLine } from "../../../src/netfilter/conntrack/socket-lines.ts";

/** One word of an address as /proc prints it: in the byte order of the host. */
function word(hexadecimal: string): string {
  return endianness() === "BE" ? hexadecimal : (hexadecimal.match(/../g) ?? []).toReversed().join("");
}

function words(hexadecimal: string): string {
  return (hexadecimal.match(/.{8}/g) ?? []).map(word).join("");
}

const local = words("C0000201");
const rest = "00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 20 4 30 10 -1";

function line(peer: string, { state = "01", port = "0CEA", peerPort = "9C40" } = {}): string {
  return `   0: ${local}:${port} ${peer}:${peerPort} ${state} ${rest}`;
}

describe("a line of /proc/net/tcp", () => {
  test("tells the port on which a socket listens, and no peer", () => {
    assert.deepEqual(parseSocketLine(line("00000000", { state: "0A", peerPort: "0000" })), { peer: null, localPort: 3306 });
  });

  test("tells the peer of a connected socket and this host's port", () => {
    assert.deepEqual(parseSocketLine(line(words("CB007109"))), { peer: "203.0.113.9", localPort: 3306 });
  });

  test("of IPv6 tells the peer in canonical words, an IPv4 address as such", () => {
    assert.deepEqual(parseSocketLine(line(words("20010DB8000100020000000000000009")))?.peer, "2001:db8:1:2::9");
    assert.deepEqual(parseSocketLine(line(words("00000000000000000000FFFFCB007109")))?.peer, "203.0.113.9");
  });

  test("is about a connection in any state but those that are none any more or not yet", () => {
    for (const state of ["01", "02", "04", "05", "08", "09", "0B"]) {
      assert.equal(parseSocketLine(line(words("CB007109"), { state }))?.localPort, 3306);
    }
    for (const state of ["03", "06", "07"]) assert.equal(parseSocketLine(line(words("CB007109"), { state })), undefined);
  });

  for (const [what, text] of [
    ["the heading", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"],
    ["a socket without a peer", line("00000000", { peerPort: "0000" })],
    ["an empty line", ""],
    ["a line that is cut", "   0: 0100007F"],
  ] as const) {
    test(`is none where it is ${what}`, () => assert.equal(parseSocketLine(text), undefined));
  }
});
