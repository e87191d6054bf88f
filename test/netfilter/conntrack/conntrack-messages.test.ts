import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseNetwork } from "../../../src/domain/network.ts";
import { createDumpAnswer, dumpRequest, isFilterable } from "../../../src/netfilter/conntrack/conntrack-messages.ts";
import { altered, answering, closedOne, end, openOne, refusal } from "./answers.ts";

const source = parseNetwork("10.9.0.7");
const open = { source: "10.9.0.7", destination: "192.0.2.1", port: 3306 };

/** What becomes of an answer that comes in these pieces. */
function read(...pieces: readonly Buffer[]) {
  const answer = createDumpAnswer(source, 1);
  const ends = pieces.map(answer.take);
  return { end: ends.at(-1) ?? null, connections: answer.connections };
}

describe("a request", () => {
  test("is the message that the kernel filters by: the address, TCP, and that only these two count", () => {
    assert.equal(
      dumpRequest(source, 0x01020304).toString("hex"),
      "4400000001010103040302010000000002000000" +
        "1c0001800c000180080001000a0900070c00028005000100060000001400198008000100090000000800020000000000",
    );
  });

  test("is for a single IPv4 address: the kernel's filter of IPv6 picks all the others", () => {
    assert.deepEqual(["10.9.0.7", "10.9.0.0/24", "2001:db8::1", "2001:db8::/64"].map(parseNetwork).map(isFilterable), [
      true,
      false,
      false,
      false,
    ]);
  });
});

describe("an answer of the kernel", () => {
  test("tells the open connections and leaves out those that are closed", () => {
    assert.deepEqual(read(Buffer.concat([openOne, closedOne, end])), { end: "done", connections: [open] });
  });

  test("can be empty", () => assert.deepEqual(read(end), { end: "done", connections: [] }));

  test("can come in pieces of any size", () => {
    const whole = Buffer.concat([openOne, closedOne, end]);
    for (const size of [1, 3, 16, 100, 241]) {
      const pieces = Array.from({ length: Math.ceil(whole.length / size) }, (_, at) =>
        whole.subarray(at * size, (at + 1) * size),
      );
      assert.deepEqual(read(...pieces), { end: "done", connections: [open] });
    }
  });

  test("has no end before the message that says so", () => {
    assert.deepEqual(read(openOne, end.subarray(0, 19)), { end: null, connections: [open] });
  });

  test("tells the address and port behind a translation", () => {
    const translated = altered(
      altered(openOne, "340002801400018008000100c0000201", "340002801400018008000100c633640a"),
      "060002000cea0000",
      "060002001f900000",
    );
    assert.deepEqual(read(translated, end).connections, [{ ...open, destination: "198.51.100.10", port: 8080 }]);
  });

  test("is one in any state but two, and without one, as of a connection that the hardware forwards", () => {
    for (const [state, count] of [
      ["01", 1],
      ["04", 1],
      ["06", 1],
      ["07", 0],
      ["08", 0],
      ["09", 1],
    ] as const) {
      assert.equal(read(altered(openOne, "0500010003", `05000100${state}`), end).connections.length, count, state);
    }
    assert.equal(read(altered(openOne, "30000480", "30007f80"), end).connections.length, 1);
  });

  test("counts what the kernel tells twice once, and two that differ in their port twice", () => {
    const another = altered(openOne, "060002000fa00000", "060002000fa20000");
    assert.equal(read(openOne, openOne, another, end).connections.length, 2);
  });

  test("to another request is passed over", () => {
    assert.deepEqual(read(...[openOne, refusal, end].map((message) => answering(7, message)), closedOne, end), {
      end: "done",
      connections: [],
    });
  });

  test("that tells of another address or protocol is of a kernel that does not filter", () => {
    assert.equal(read(altered(openOne, "080001000a090007", "080001000a090008")).end, "unfiltered");
    assert.equal(read(altered(openOne, "0500010006", "0500010011")).end, "unfiltered");
  });
});

describe("an answer is refused", () => {
  for (const [what, message] of [
    ["with an error", refusal],
    ["at an end with an error", Buffer.concat([end.subarray(0, 16), Buffer.from("ffffffff", "hex")])],
    ["when a message is shorter than its header", altered(openOne, "f0000000", "0f000000")],
    ["when a message has no length", altered(openOne, "f0000000", "00000000")],
    ["when a message is longer than any is", altered(openOne, "f0000000", "f0000100")],
    ["when an attribute has no length", altered(openOne, "34000180", "00000180")],
    ["when an attribute is longer than what holds it", altered(openOne, "14000180", "f4000180")],
    ["when an address is cut", altered(openOne, "08000100c0000201", "07000100c0000201")],
    ["when there is no reply", altered(openOne, "34000280", "34007f80")],
    ["when a message is of a kind that nobody asked for", altered(openOne, "f000000000012200", "f000000002012200")],
  ] as const) {
    test(what, () => assert.deepEqual(read(message, openOne, end), { end: "refused", connections: [] }));
  }
});

test("whatever bytes come, in whatever pieces, are read to their end without a fault", () => {
  const nearly = fc
    .tuple(fc.constantFrom(openOne, closedOne, end, refusal), fc.array(fc.tuple(fc.nat(239), fc.nat(255))))
    .map(([message, changes]) => {
      const copy = Buffer.from(message);
      for (const [at, byte] of changes) if (at < copy.length) copy[at] = byte;
      return copy;
    });
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    nearly,
    fc.tuple(nearly, fc.nat(240)).map(([message, length]) => message.subarray(0, length)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const { connections } = read(...pieces);
      for (const { source: from, destination, port } of connections) {
        assert.equal(from, "10.9.0.7");
        assert.equal(parseNetwork(destination).family, 4);
        assert.ok(port >= 0 && port <= 65_535);
      }
    }),
    { numRuns: 500 },
  );
});
