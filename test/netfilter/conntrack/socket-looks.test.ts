import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { endianness } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createSocketLooks, type SocketLooks } from "../../../src/netfilter/conntrack/socket-looks.ts";
import { withDirectory } from "../../support/directories.ts";
import { createTestClock, type TestClock } from "../../support/test-clock.ts";

interface Host {
  readonly looks: SocketLooks;
  readonly clock: TestClock;
  /** Somebody is connected to a port from 192.0.2.N for each N, and the kernel has opened and accepted so many connections. */
  set(peers: readonly number[], statistics: string): void;
}

/** As /proc/net/tcp prints a socket on a host of either byte order. */
function line(peer: number): string {
  const bytes = [192, 0, 2, peer].map((byte) => byte.toString(16).padStart(2, "0").toUpperCase());
  const address = (endianness() === "BE" ? bytes : bytes.toReversed()).join("");
  return `   0: 010200C0:0016 ${address}:9C40 01 00000000:00000000 00:00000000 00000000 0 0 1\n`;
}

const statistics = (active: number, passive: number): string =>
  `Ip: Forwarding\nIp: 1\nTcp: RtoMin PassiveOpens ActiveOpens\nTcp: 200 ${passive} ${active}\nUdp: PassiveOpens\nUdp: 9\n`;

const onHost = (work: (host: Host) => Promise<void>): Promise<void> =>
  withDirectory(async (directory) => {
    const [socketFile, statisticsFile] = [join(directory, "tcp"), join(directory, "snmp")];
    const listening = "   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1\n";
    const clock = createTestClock();
    const looks = createSocketLooks({ socketFiles: [socketFile], statisticsFile, monotonic: clock.monotonic });
    const set: Host["set"] = (peers, text) => {
      writeFileSync(socketFile, `  sl  local_address rem_address   st\n${listening}${peers.map(line).join("")}`);
      writeFileSync(statisticsFile, text);
    };
    await work({ looks, clock, set });
  });

const peersOf = ({ peers }: Awaited<ReturnType<SocketLooks["now"]>>) => Object.fromEntries(peers);

test("a look tells who is connected, how often, and on what ports somebody waits", () =>
  onHost(async ({ looks, set }) => {
    set([1, 2, 1], statistics(1, 1));
    const look = await looks.now();
    assert.deepEqual(peersOf(look), { "192.0.2.1": 2, "192.0.2.2": 1 });
    assert.deepEqual([[...look.listening], look.connected.length], [[22], 3]);
  }));

test("an earlier look serves until the host opens or accepts a connection", () =>
  onHost(async ({ looks, set }) => {
    set([1], statistics(1, 1));
    assert.deepEqual(peersOf(await looks.recent()), { "192.0.2.1": 1 });
    set([2], statistics(1, 1));
    assert.deepEqual(peersOf(await looks.recent()), { "192.0.2.1": 1 });
    set([2], statistics(1, 2));
    assert.deepEqual(peersOf(await looks.recent()), { "192.0.2.2": 1 });
    set([3], statistics(2, 2));
    assert.deepEqual(peersOf(await looks.recent()), { "192.0.2.3": 1 });
    set([4], statistics(2, 2));
    assert.deepEqual(peersOf(await looks.now()), { "192.0.2.4": 1 });
    set([5], statistics(2, 2));
    assert.deepEqual(peersOf(await looks.recent()), { "192.0.2.4": 1 });
  }));

test("an earlier look serves for a second at most", () =>
  onHost(async ({ looks, clock, set }) => {
    set([1], statistics(1, 1));
    await looks.now();
    set([2], statistics(1, 1));
    clock.advance(999);
    assert.deepEqual(peersOf(await looks.recent()), { "192.0.2.1": 1 });
    clock.advance(1);
    assert.deepEqual(peersOf(await looks.recent()), { "192.0.2.2": 1 });
  }));

test("no earlier look serves where the kernel does not tell what it has opened", () =>
  onHost(async ({ looks, set }) => {
    for (const [peer, text] of ["", "Tcp: RtoMin\nTcp: 200\n", "Tcp: ActiveOpens PassiveOpens\nTcp: 1\n"].entries()) {
      set([peer], text);
      assert.deepEqual(peersOf(await looks.recent()), { [`192.0.2.${peer}`]: 1 });
      set([peer + 100], text);
      assert.deepEqual(peersOf(await looks.recent()), { [`192.0.2.${peer + 100}`]: 1 });
    }
  }));

test("a connection that is accepted while the sockets are read makes the next look a new one", () =>
  onHost(async ({ looks, set }) => {
    const many = Array.from({ length: 5000 }, () => 1);
    set(many, statistics(1, 1));
    let isOver = false;
    const look = looks.now().finally(() => {
      isOver = true;
    });
    // The look has begun with the numbers, and reads the sockets in several turns.
    for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
    assert.equal(isOver, false);
    set(many, statistics(1, 2));
    await look;
    set([2], statistics(1, 2));
    assert.deepEqual(peersOf(await looks.recent()), { "192.0.2.2": 1 });
  }));
