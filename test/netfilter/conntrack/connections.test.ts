import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parseNetwork } from "../../../src/domain/network.ts";
import { EnforcementDelayed } from "../../../src/domain/ports.ts";
import { createConntrack } from "../../../src/netfilter/conntrack/connections.ts";
import { createHost, directory, here, inFull, line, socket } from "./host.ts";

describe("a scan", () => {
  test("visits the open connections to this host's addresses, with canonical sources", async () => {
    const host = createHost([
      line("203.0.113.9"),
      line("203.0.113.9", { port: 22 }),
      line("2001:0db8:0000:0000:0000:0000:0000:0009"),
      line("127.0.0.1", { to: "127.0.0.1", port: 7306 }),
      line("203.0.113.9", { state: "TIME_WAIT" }),
      "nonsense\n",
    ]);
    assert.deepEqual(await host.scan(), [
      ["203.0.113.9", 3306],
      ["203.0.113.9", 22],
      ["2001:db8::9", 3306],
      ["127.0.0.1", 7306],
    ]);
  });

  test("leaves out connections that this host opened or only forwards", async () => {
    const host = createHost([line(here[4], { to: "198.51.100.7" }), line("203.0.113.9", { to: "198.51.100.7" })]);
    assert.deepEqual(await host.scan(), []);
  });

  test("of a kernel that tracks no connections, as no rule asks for it, visits the host's sockets that others opened", async () => {
    const host = createHost([], { sockets: [socket("203.0.113.9"), socket("203.0.113.9", 22), socket("203.0.113.9", 40_000)] });
    assert.deepEqual(await host.scan(), [
      ["203.0.113.9", 3306],
      ["203.0.113.9", 22],
    ]);
  });

  test("visits a connection that is older than the tracking, and none twice", async () => {
    const host = createHost([line("198.51.100.7"), line("203.0.113.9")], {
      sockets: [socket("203.0.113.9"), socket("203.0.113.9"), socket("192.0.2.50", 22)],
    });
    assert.deepEqual(await host.scan(), [
      ["198.51.100.7", 3306],
      ["203.0.113.9", 3306],
      ["203.0.113.9", 3306],
      ["192.0.2.50", 22],
    ]);
  });

  test("of a kernel that tells neither visits none", async () => {
    const absent = join(directory, "absent");
    const conntrack = createConntrack({
      run: async () => assert.fail("no program is needed"),
      file: absent,
      socketFiles: [absent],
    });
    await conntrack.scan(() => assert.fail("there is no connection"));
  });

  test("of a file that can't be read fails", async () => {
    const conntrack = createConntrack({ run: async () => assert.fail("no program is needed"), file: directory });
    await assert.rejects(conntrack.scan(() => undefined));
  });

  test("of a line that is cut by the end of a chunk reads it whole", async () => {
    const host = createHost(Array.from({ length: 2000 }, (_, index) => line(`198.18.${index >> 8}.${index & 255}`)));
    assert.equal(new Set((await host.scan()).map(([source]) => source)).size, 2000);
  });

  test("of one network visits who is in it, however the kernel prints them, and nobody else", async () => {
    const sources = [
      "203.0.113.9",
      "203.0.113.90",
      "203.0.112.9",
      "20.3.0.113",
      "2001:db8:1:2::9",
      "2001:db8:1:20::9",
      "2001:db8:1:2:8000::1",
    ];
    const host = createHost([...sources.map((source) => line(inFull(source))), line("198.51.100.7", { to: "203.0.113.9" })], {
      sockets: [socket("203.0.113.9"), socket("203.0.113.9"), socket("198.51.100.8")],
    });
    const within = async (text: string): Promise<readonly string[]> => {
      const found: string[] = [];
      await host.conntrack.scan((source) => found.push(source), parseNetwork(text));
      return found.sort();
    };
    assert.deepEqual(await within("203.0.113.9"), ["203.0.113.9", "203.0.113.9"]);
    assert.deepEqual(await within("203.0.113.90"), ["203.0.113.90"]);
    assert.deepEqual(await within("203.0.112.0/23"), ["203.0.112.9", "203.0.113.9", "203.0.113.9", "203.0.113.90"]);
    assert.deepEqual(await within("0.0.0.0/2"), ["20.3.0.113"]);
    assert.deepEqual(await within("2001:db8:1:2::/64"), ["2001:db8:1:2:8000::1", "2001:db8:1:2::9"]);
    assert.deepEqual(await within("2001:db8:1:2::/65"), ["2001:db8:1:2::9"]);
    assert.deepEqual(await within("2001:db8:1::/48"), ["2001:db8:1:20::9", "2001:db8:1:2:8000::1", "2001:db8:1:2::9"]);
    assert.deepEqual(await within("2001:db8:1:2::9"), ["2001:db8:1:2::9"]);
    assert.deepEqual(await within("198.51.100.9"), []);
  });

  test("of 200,000 connections lets other work have its turn all along", async () => {
    const host = createHost(
      Array.from({ length: 200_000 }, (_, index) => line(`198.${18 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`)),
    );
    let [turns, count, sinceTurn, longest, done] = [0, 0, 0, 0, false];
    const turn = (): void => {
      turns += 1;
      longest = Math.max(longest, sinceTurn);
      sinceTurn = 0;
      if (!done) setImmediate(turn);
    };
    setImmediate(turn);
    await host.conntrack.scan(() => {
      count += 1;
      sinceTurn += 1;
    });
    done = true;
    assert.equal(count, 200_000);
    assert.ok(turns >= 200, `${turns} turns`);
    assert.ok(longest <= 2000, `${longest} connections between two turns`);
  });
});

describe("severing", () => {
  const lines = [
    line("203.0.113.9"),
    line("203.0.113.9", { port: 22 }),
    line("2001:0db8::0009"),
    line("198.51.100.7"),
    line("10.1.2.3"),
  ];

  test("ends the sockets and forgets the flows of the addresses that have connections, and says how many", async () => {
    const host = createHost(lines);
    assert.equal(await host.conntrack.sever(["203.0.113.9", "2001:db8::9", "192.0.2.77"]), 3);
    assert.deepEqual(host.calls, [
      "ss -K -t -H dst 203.0.113.9 or dst [2001:db8::9]",
      "conntrack -D -s 203.0.113.9 -r 192.0.2.1",
      "conntrack -D -s 2001:db8::9 -r 2001:db8::1",
      "conntrack -D -s 2001:db8::9 -r fe80::1",
    ]);
  });

  test("of a network ends those of all its sources with one command for each end", async () => {
    const host = createHost(lines);
    assert.equal(await host.conntrack.sever(["10.0.0.0/8", "198.51.100.0/24", "198.51.100.7", "2001:db8::/64"]), 3);
    assert.deepEqual(host.calls, [
      "ss -K -t -H dst 2001:db8::/64 or dst 198.51.100.0/24 or dst 10.0.0.0/8",
      "conntrack -D -s 2001:db8::/64 -r 2001:db8::1",
      "conntrack -D -s 2001:db8::/64 -r fe80::1",
      "conntrack -D -s 198.51.100.0/24 -r 192.0.2.1",
      "conntrack -D -s 10.0.0.0/8 -r 192.0.2.1",
    ]);
  });

  test("of somebody without a connection, or of nobody, starts no program", async () => {
    const host = createHost(lines);
    assert.deepEqual([await host.conntrack.sever(["192.0.2.77"]), await host.conntrack.sever([])], [0, 0]);
    assert.deepEqual(host.calls, []);
  });

  test("of many asks ss about a hundred at a time", async () => {
    const sources = Array.from({ length: 250 }, (_, index) => `198.18.0.${index}`);
    const host = createHost(sources.map((source) => line(source)));
    assert.equal(await host.conntrack.sever(sources), 250);
    assert.deepEqual(
      host.calls.filter((call) => call.startsWith("ss ")).map((call) => call.split(" or ").length),
      [100, 100, 50],
    );
  });

  test("ends a socket that was open before the kernel began to track connections, and counts each connection once", async () => {
    const host = createHost(lines, { sockets: [socket("203.0.113.9"), socket("192.0.2.50"), socket("192.0.2.50", 22)] });
    assert.equal(await host.conntrack.sever(["203.0.113.9", "192.0.2.50"]), 4);
    assert.match(host.calls[0] ?? "", /^ss -K -t -H dst 203\.0\.113\.9 or dst 192\.0\.2\.50$/);
  });

  for (const [what, count] of [
    ["tracks nothing", "0\n"],
    ["can't track", null],
  ] as const) {
    test(`on a host that ${what} looks at the sockets again only when a connection was opened`, async () => {
      const host = createHost([], { count, sockets: [socket("192.0.2.50")] });
      assert.equal(await host.conntrack.sever(["203.0.113.9"]), 0);
      // As it can't be: the kernel counts what it opens.
      host.setSockets(socket("203.0.113.9"), socket("203.0.113.9", 22));
      assert.equal(await host.conntrack.sever(["203.0.113.9"]), 0);
      host.opens(1, 2);
      assert.equal(await host.conntrack.sever(["203.0.113.9"]), 2);
      assert.equal(host.calls[0], "ss -K -t -H dst 203.0.113.9");
    });
  }

  test("ends nothing of who was connected at the last look and is not any more", async () => {
    const host = createHost([], { count: "0\n", sockets: [socket("203.0.113.9")] });
    assert.equal(await host.conntrack.sever(["192.0.2.77"]), 0);
    host.setSockets();
    assert.equal(await host.conntrack.sever(["203.0.113.9"]), 0);
    assert.deepEqual(host.calls, []);
  });

  test("asks the tracking wherever the kernel tracks, or does not tell", async () => {
    for (const count of ["5\n", "", "gone"]) {
      const host = createHost(lines, { count });
      assert.equal(await host.conntrack.sever(["198.51.100.7"]), 1);
    }
  });

  test("minds no flow that was gone already", async () => {
    const host = createHost(lines, { answers: { conntrack: { exitCode: 1, stderr: "0 flow entries have been deleted\n" } } });
    assert.equal(await host.conntrack.sever(["203.0.113.9"]), 2);
  });

  for (const [program, answer, message] of [
    ["ss", { exitCode: 255, stderr: "Cannot open\n netlink socket\n" }, /^ss fails: Cannot open netlink socket$/],
    ["ss", { exitCode: null, failure: "not-found" }, /^ss fails: not-found$/],
    ["conntrack", { exitCode: 2 }, /^conntrack fails: exit code 2$/],
  ] as const) {
    test(`is delayed when ${program} ends with ${JSON.stringify(answer)}`, async () => {
      const host = createHost(lines, { answers: { [program]: answer } });
      await assert.rejects(
        host.conntrack.sever(["203.0.113.9"]),
        (error: Error) => error instanceof EnforcementDelayed && message.test(error.message),
      );
    });
  }
});

test("this host's own addresses are found without being told", async () => {
  const file = join(directory, "own");
  writeFileSync(file, line("203.0.113.9", { to: "127.0.0.1" }));
  const visited: string[] = [];
  await createConntrack({ run: async () => assert.fail("no program is needed"), file }).scan((source) => visited.push(source));
  assert.deepEqual(visited, ["203.0.113.9"]);
});
