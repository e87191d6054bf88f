import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseConntrackLine } from "../../../src/netfilter/conntrack/conntrack-lines.ts";

const tail = "[ASSURED] mark=0 zone=0 use=2";
const established = `ipv4     2 tcp      6 431999 ESTABLISHED src=203.0.113.9 dst=192.0.2.1 sport=40000 dport=3306 src=192.0.2.1 dst=203.0.113.9 sport=3306 dport=40000 ${tail}`;
const zeros = "0000:0000:0000:0000:0000";
const ipv6 = `ipv6     10 tcp      6 86 SYN_SENT src=2001:0db8:${zeros}:0001 dst=2001:0db8:${zeros}:0002 sport=5000 dport=80 [UNREPLIED] src=2001:0db8:${zeros}:0002 dst=2001:0db8:${zeros}:0001 sport=80 dport=5000 mark=0 zone=0 use=2`;

describe("a line about an open TCP connection", () => {
  test("tells who opened it, and to which address and port", () => {
    assert.deepEqual(parseConntrackLine(established), { source: "203.0.113.9", destination: "192.0.2.1", port: 3306 });
  });

  test("of IPv6 tells it in the words of /proc, answered or not", () => {
    const [source, destination] = [`2001:0db8:${zeros}:0001`, `2001:0db8:${zeros}:0002`];
    assert.deepEqual(parseConntrackLine(ipv6), { source, destination, port: 80 });
  });

  test("with translated addresses tells where it ended up", () => {
    const translated = established.replace(
      "src=192.0.2.1 dst=203.0.113.9 sport=3306",
      "src=10.0.0.5 dst=203.0.113.9 sport=13306",
    );
    assert.deepEqual(parseConntrackLine(translated), { source: "203.0.113.9", destination: "10.0.0.5", port: 13_306 });
  });

  test("is one in any state in which connlimit counts it, half-closed too", () => {
    for (const state of ["SYN_SENT", "SYN_RECV", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK"]) {
      assert.equal(parseConntrackLine(established.replace("ESTABLISHED", state))?.port, 3306);
    }
  });
});

describe("a line is about none", () => {
  const udp = established.replace("tcp      6 431999 ESTABLISHED", "udp      17 29");
  for (const [name, line] of [
    ["when the connection is closed", established.replace("ESTABLISHED", "CLOSE")],
    ["when the connection waits out its time", established.replace("ESTABLISHED", "TIME_WAIT")],
    ["when it is about UDP", udp],
    ["when it is empty", ""],
    ["when it breaks off before the reply", established.slice(0, 90)],
    ["when it breaks off before the reply's port", established.slice(0, established.lastIndexOf(" sport="))],
    ["when it only mentions tcp somewhere", `ipv4     2 unknown  47 599 ${established.slice(20)}`],
  ] as const) {
    test(name, () => assert.equal(parseConntrackLine(line), undefined));
  }
});
