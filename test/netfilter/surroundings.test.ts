import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { createSurroundings, type HostSurroundings, type SurroundingsOptions } from "../../src/netfilter/surroundings.ts";
import { withDirectory } from "../support/directories.ts";

const nothing = async (): Promise<void> => {};
const none: SurroundingsOptions["connections"] = { scanSockets: nothing, scanRecentSockets: nothing };

const broken = async (): Promise<void> => {
  throw new EnforcementDelayed("no table");
};

/** Connections to a port, as they are scanned. */
const connected = (...open: readonly (readonly [source: string, port: number])[]): SurroundingsOptions["connections"] => ({
  async scanSockets(visit) {
    for (const [source, port] of open) visit(source, port);
  },
  async scanRecentSockets(visit) {
    for (const [source, port] of [...open, ["203.0.113.250", 22], ["203.0.113.251", 80]] as const) visit(source, port);
  },
});

/** Looks at a host with these files: those of /proc/net by their names, those of /etc/ssh as `ssh/NAME`. */
async function withFiles(
  files: Readonly<Record<string, string>>,
  look: (host: HostSurroundings) => void | Promise<void>,
  connections = none,
): Promise<void> {
  await withDirectory(async (directory) => {
    await mkdir(join(directory, "ssh/sshd_config.d"), { recursive: true });
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
    await look(createSurroundings({ connections, procNet: directory, sshDirectory: join(directory, "ssh") }));
  });
}

const routeHead = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
const zeros = "0".repeat(32);

describe("gateways", () => {
  test("are the next hops of the default routes of both families", () =>
    withFiles(
      {
        route: [
          `${routeHead}eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0`,
          "eth1\t00000000\tFE0210AC\t0003\t0\t0\t100\t00000000\t0\t0\t0",
          "",
        ].join("\n"),
        ipv6_route: [
          `${zeros} 00 ${zeros} 00 20010db8000000000000000000000001 00000400 00000001 00000000 00000003     eth0`,
          `${zeros} 00 ${zeros} 00 fe80000000000000021122fffe334455 00000400 00000001 00000000 00450003     eth1`,
          "",
        ].join("\n"),
      },
      (host) => {
        const expected = ["192.168.0.1", "172.16.2.254", "2001:db8::1", "fe80::211:22ff:fe33:4455"];
        assert.deepEqual(host.gateways(), expected);
      },
    ));

  test("are neither those of other routes, nor of a default route that needs none, nor of one that refuses", () =>
    withFiles(
      {
        route: [
          `${routeHead}eth0\t0000000A\t0100A8C0\t0003\t0\t0\t0\t000000FF\t0\t0\t0`,
          "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
          // The lower half of everything, as a tunnel sets it.
          "tun0\t00000000\t0108080A\t0003\t0\t0\t0\t00000080\t0\t0\t0",
          "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0",
        ].join("\n"),
        ipv6_route: [
          `20010db8000000000000000000000000 40 ${zeros} 00 20010db8000000000000000000000009 00000100 00000001 00000000 00000003 eth0`,
          `${zeros} 00 ${zeros} 00 ${zeros} ffffffff 00000001 00000000 00200200       lo`,
          `${zeros} 00 ${zeros} 00 ${zeros} 00000400 00000001 00000000 00000001     ppp0`,
        ].join("\n"),
      },
      (host) => assert.deepEqual(host.gateways(), []),
    ));

  test("are read anew each time, and there are none without the files or with nothing in them", async () => {
    await withFiles({}, (host) => assert.deepEqual(host.gateways(), []));
    await withFiles({ route: "", ipv6_route: "\n" }, (host) => assert.deepEqual(host.gateways(), []));
    await withDirectory(async (directory) => {
      const host = createSurroundings({ connections: none, procNet: directory, sshDirectory: directory });
      assert.deepEqual(host.gateways(), []);
      await writeFile(join(directory, "route"), `${routeHead}eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n`);
      assert.deepEqual(host.gateways(), ["192.168.0.1"]);
    });
  });
});

test("own addresses are those of all interfaces, without zones, each once", () => {
  const addresses = createSurroundings({ connections: none }).ownAddresses();
  assert.ok(addresses.includes("127.0.0.1"));
  assert.equal(new Set(addresses).size, addresses.length);
  assert.ok(addresses.every((address) => !address.includes("%")));
  const count = Object.values(networkInterfaces()).flatMap((found) => found ?? []).length;
  assert.ok(addresses.length <= count);
});

describe("ports of sshd", () => {
  const cases: readonly (readonly [what: string, files: Readonly<Record<string, string>>, ports: readonly number[]])[] = [
    ["22 without any file", {}, [22]],
    ["22 where nothing is set", { "ssh/sshd_config": "#Port 2222\n  # Port 2223\nPermitRootLogin no\n" }, [22]],
    ["what Port says, each once", { "ssh/sshd_config": "Port 22\nPort 2222\nPort 22\n" }, [22, 2222]],
    ["whatever the case and the space", { "ssh/sshd_config": "\tport   2200  \r\nPORT\t2201\n" }, [2200, 2201]],
    [
      "those of the directory as well",
      { "ssh/sshd_config": "Port 2222\n", "ssh/sshd_config.d/50-more.conf": "Port 2022\n" },
      [2222, 2022],
    ],
    ["those of the directory alone", { "ssh/sshd_config.d/50-more.conf": "Port 2022\n" }, [2022]],
    ["no other keyword's", { "ssh/sshd_config": "X11DisplayOffset 10\nGatewayPorts 2222\nPortal 99\n" }, [22]],
  ];
  for (const [what, files, ports] of cases) {
    test(`are ${what}`, () => withFiles(files, (host) => assert.deepEqual(host.sshPorts(), ports)));
  }

  // servconf.c: a word may stand after = and in quotes, a comment after it; ListenAddress may carry a port.
  for (const [text, port] of [
    ["Port=2222", 2222],
    ["Port = 2222", 2222],
    ['Port "2222"', 2222],
    ["Port 2222 # behind the proxy", 2222],
    ["ListenAddress 0.0.0.0:2222", 2222],
    ["ListenAddress [::]:2222", 2222],
    ["ListenAddress bastion.example.com:2222", 2222],
  ] as const) {
    test(`are found in ${text}`, () =>
      withFiles({ "ssh/sshd_config": `${text}\n` }, (host) => assert.ok(host.sshPorts().includes(port))));
  }

  test("are not taken from a file that sshd does not read, so that the default is not forgotten", () =>
    withFiles({ "ssh/sshd_config.d/50-more.conf.bak": "Port 2022\n" }, (host) => assert.ok(host.sshPorts().includes(22))));
});

describe("SSH clients", () => {
  test("are the sources of connections to those ports, each once", () =>
    withFiles(
      { "ssh/sshd_config": "Port 22\nPort 2222\n" },
      async (host) => {
        const [now, recently] = [await host.look(), await host.recentLook()];
        assert.deepEqual(now.sshClients, ["203.0.113.9", "2001:db8::9"]);
        assert.deepEqual(recently.sshClients, ["203.0.113.9", "2001:db8::9", "203.0.113.250"]);
        const { gateways, ownAddresses, sshPorts } = recently;
        assert.deepEqual([gateways, ownAddresses, sshPorts], [host.gateways(), host.ownAddresses(), host.sshPorts()]);
      },
      connected(["203.0.113.9", 22], ["198.51.100.1", 80], ["2001:db8::9", 2222], ["203.0.113.9", 2222], ["198.51.100.2", 2223]),
    ));

  test("can't be told while the connections can't be read", () =>
    withFiles(
      {},
      async (host) => {
        await assert.rejects(host.look(), EnforcementDelayed);
        await assert.rejects(host.recentLook(), EnforcementDelayed);
      },
      { scanSockets: broken, scanRecentSockets: broken },
    ));
});
