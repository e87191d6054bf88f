// The connections of one address, picked by the kernel (socat) or out of /proc: the same either way.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { trackConnections } from "../../bench/load/tracked-connections.ts";
import { formatNetwork, parseAddress } from "../../src/domain/network.ts";
import { openProgram } from "../../src/netfilter/command/run.ts";
import { parseConntrackLine } from "../../src/netfilter/conntrack/conntrack-lines.ts";
import { createFilteredDump } from "../../src/netfilter/conntrack/filtered-dump.ts";
import { childrenOf, nameOf } from "../support/children.ts";
import { createDirectory, linkPrograms, type TemporaryDirectory } from "../support/directories.ts";
import { families, forBackends } from "../support/kernel.ts";
import { createScene, type Scene } from "../support/scene.ts";
import { iptablesPrograms, otherPrograms } from "../support/service.ts";

const [limited, other] = [5720, 5721];
/** More than those of which the service reads the table rather than to start a program. */
const tracked = 6000;
const [first, second, third] = [20_001, 20_002, 20_003];

forBackends((backend) => {
  for (const hasSocat of [true, false]) {
    describe(hasSocat ? "with socat" : "without socat", () => {
      let directory: TemporaryDirectory;
      let scene: Scene;

      before(async () => {
        directory = await createDirectory();
        const programs = [...iptablesPrograms, ...otherPrograms, "ipset"].filter((name) => hasSocat || name !== "socat");
        const PATH = await linkPrograms(join(directory.path, "bin"), programs);
        scene = await createScene({ backend, ports: [limited, other], env: { PATH } });
        const { api, network } = scene;
        await api.putPolicy("limited", { ports: [limited], maxConnections: 10, countPer: { ipv4Prefix: 32, ipv6Prefix: 128 } });
        await trackConnections(network, tracked, 3306);
      });
      after(async () => {
        await scene.dispose();
        directory.remove();
      });

      for (const { family, source } of families) {
        test(`check counts the open connections of an address, over IPv${family}`, async () => {
          const { api, service, traffic } = scene;
          const counted = async (n: number) =>
            (await api.check(source(n))).policies.map(({ openConnections }) => openConnections);
          await traffic.hold(source(first), limited, 3);
          await traffic.hold(source(first), other, 2);
          await traffic.hold(source(second), limited, 1);
          assert.deepEqual([await counted(first), await counted(second), await counted(third)], [[3], [1], [0]]);
          await traffic.hold(source(third), limited, 4);
          const closed = await traffic.hold(source(second), limited, 2);
          await traffic.close(closed);
          assert.deepEqual([await counted(first), await counted(second), await counted(third)], [[3], [1], [4]]);
          assert.equal(
            childrenOf(service.pid()).some((child) => nameOf(child) === "socat"),
            hasSocat,
          );
          const { severed } = await api.putBan(source(first));
          assert.equal(severed, 5);
          assert.deepEqual(await counted(first), [0]);
        });
      }
    });
  }

  test("what the kernel picks for an address is what /proc has of it, and nothing for others", async () => {
    await using scene = await createScene({ backend, ports: [limited, other] });
    const { api, network, traffic } = scene;
    await api.putPolicy("limited", { ports: [limited], maxConnections: 200 });
    const dump = createFilteredDump({
      open: (file, args) => openProgram("ip", ["netns", "exec", network.names.host, file, ...args], "bytes"),
    });
    for (const { source } of families) {
      await traffic.hold(source(first), limited, 40);
      await traffic.hold(source(first), other, 2);
      await traffic.hold(source(second), limited, 3);
      await traffic.knock(source(second), limited);
    }
    await trackConnections(network, tracked, 3306);
    const words = (connections: readonly { source: string; destination: string; port: number }[]) =>
      connections.map((one) => [one.source, one.destination, one.port].join(" ")).sort();
    const lines = (await network.exec("host", "cat", ["/proc/net/nf_conntrack"])).split("\n");
    const canonical = (address: string): string => formatNetwork(parseAddress(address));
    const listed = lines.flatMap((line) => {
      const { source, destination, port } = parseConntrackLine(line) ?? {};
      return source === undefined || destination === undefined || port === undefined
        ? []
        : [{ source: canonical(source), destination: canonical(destination), port }];
    });
    for (const { family, source } of families) {
      for (const [n, count] of [
        [first, 42],
        [second, 3],
        [third, 0],
        [17, family === 4 ? 1 : 0],
      ] as const) {
        const expected = words(listed.filter((one) => one.source === source(n)));
        assert.equal(expected.length, count);
        const told = await dump(parseAddress(source(n)));
        // The kernel's filter of IPv6 picks all the others.
        assert.deepEqual(told && words(told), family === 4 ? expected : undefined, source(n));
      }
    }
  });
});
