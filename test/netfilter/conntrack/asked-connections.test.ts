// Where the kernel itself picks the connections of an address.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatNetwork, parseNetwork } from "../../../src/domain/network.ts";
import type { FilteredDump } from "../../../src/netfilter/conntrack/filtered-dump.ts";
import { createHost, here, inFull, line, socket } from "./host.ts";

const many = "200000\n";
/** What only the table has: who is told of it has read it. */
const onlyListed = line("203.0.113.9", { port: 5000 });

/** A kernel that tells of these connections; null: it can't be asked. */
function createKernel(told: Readonly<Record<string, readonly { readonly to?: string; readonly port: number }[] | null>>) {
  const asked: string[] = [];
  const dump: FilteredDump = async (network) => {
    const source = formatNetwork(network);
    asked.push(source);
    const connections = told[source];
    return connections === null ? undefined : connections?.map(({ to = here[4], port }) => ({ source, destination: to, port }));
  };
  return { dump, asked };
}

type Host = ReturnType<typeof createHost>;

async function within(host: Host, text: string): Promise<readonly string[]> {
  const found: string[] = [];
  await host.conntrack.scan((source, port) => found.push(`${source} ${port}`), parseNetwork(text));
  return found.sort();
}

describe("a scan of one address", () => {
  test("visits what the kernel tells of it and reads no table", async () => {
    const { dump, asked } = createKernel({ "203.0.113.9": [{ port: 22 }, { port: 3306 }, { port: 3306 }] });
    const host = createHost([onlyListed], { count: many, dump });
    assert.deepEqual(await within(host, "203.0.113.9"), ["203.0.113.9 22", "203.0.113.9 3306", "203.0.113.9 3306"]);
    assert.deepEqual(asked, ["203.0.113.9"]);
  });

  test("counts a connection that it has a socket of once, and one that is not tracked too", async () => {
    const { dump } = createKernel({ "203.0.113.9": [{ port: 3306 }] });
    const sockets = [socket("203.0.113.9"), socket("203.0.113.9", 22), socket("203.0.113.90")];
    const host = createHost([], { count: many, dump, sockets });
    assert.deepEqual(await within(host, "203.0.113.9"), ["203.0.113.9 22", "203.0.113.9 3306"]);
  });

  test("leaves out what is only forwarded", async () => {
    const { dump } = createKernel({ "203.0.113.9": [{ port: 22, to: "198.51.100.7" }, { port: 3306 }] });
    assert.deepEqual(await within(createHost([], { count: many, dump }), "203.0.113.9"), ["203.0.113.9 3306"]);
  });

  test("asks before it looks at the sockets, so that the kernel works meanwhile", async () => {
    const dump: FilteredDump = async () => {
      host.setSockets(socket("203.0.113.9", 22));
      return undefined;
    };
    const host = createHost([], { count: many, dump });
    assert.deepEqual(await within(host, "203.0.113.9"), ["203.0.113.9 22"]);
  });

  test("reads the table where the kernel can't be asked", async () => {
    const { dump, asked } = createKernel({ "203.0.113.9": null });
    assert.deepEqual(await within(createHost([onlyListed], { count: many, dump }), "203.0.113.9"), ["203.0.113.9 5000"]);
    assert.deepEqual(asked, ["203.0.113.9"]);
  });

  test("reads the table where it is short, and starts no program for it", async () => {
    for (const count of ["0\n", "4999\n", null]) {
      const { dump, asked } = createKernel({});
      const host = createHost([onlyListed], { count, dump });
      assert.deepEqual(await within(host, "203.0.113.9"), count === null ? [] : ["203.0.113.9 5000"]);
      assert.deepEqual(asked, []);
    }
  });

  test("asks wherever the kernel does not tell how many it tracks", async () => {
    for (const count of ["", "gone"]) {
      const { dump, asked } = createKernel({ "203.0.113.9": [] });
      assert.deepEqual(await within(createHost([onlyListed], { count, dump }), "203.0.113.9"), []);
      assert.deepEqual(asked, ["203.0.113.9"]);
    }
  });

  test("reads the table for IPv6 and for a network", async () => {
    const { dump, asked } = createKernel({});
    const host = createHost([onlyListed, line(inFull("2001:db8::9"))], { count: many, dump });
    assert.deepEqual(await within(host, "2001:db8::9"), ["2001:db8::9 3306"]);
    assert.deepEqual(await within(host, "203.0.113.0/24"), ["203.0.113.9 5000"]);
    assert.deepEqual((await host.scan()).length, 2);
    assert.deepEqual(asked, []);
  });
});

describe("severing", () => {
  test("of a few addresses asks for each, those of all who sever at the same time", async () => {
    const told = { "203.0.113.9": [{ port: 22 }, { port: 3306 }], "198.51.100.7": [{ port: 22 }], "192.0.2.77": [] };
    const { dump, asked } = createKernel(told);
    const host = createHost([onlyListed], { count: many, dump });
    const [two, one] = await Promise.all([
      host.conntrack.sever(["203.0.113.9", "192.0.2.77"]),
      host.conntrack.sever(["198.51.100.7", "203.0.113.9"]),
    ]);
    assert.deepEqual([two, one], [2, 3]);
    assert.deepEqual(asked.sort(), ["192.0.2.77", "198.51.100.7", "203.0.113.9"]);
    assert.ok(host.calls.includes("ss -K -t -H dst 198.51.100.7 or dst 203.0.113.9"), host.calls.join("\n"));
  });

  test("reads the table once where one of them can't be asked for", async () => {
    const { dump } = createKernel({ "203.0.113.9": null, "198.51.100.7": [{ port: 22 }] });
    const host = createHost([onlyListed, line("198.51.100.7"), line("192.0.2.50")], { count: many, dump });
    assert.equal(await host.conntrack.sever(["203.0.113.9", "198.51.100.7"]), 2);
  });

  test("of more than a few, of a network and of IPv6 reads the table", async () => {
    const { dump, asked } = createKernel({});
    const host = createHost([onlyListed, line("2001:0db8::0009")], { count: many, dump });
    assert.equal(await host.conntrack.sever(["203.0.113.9", ...[1, 2, 3, 4].map((n) => `198.51.100.${n}`)]), 1);
    assert.equal(await host.conntrack.sever(["203.0.113.0/24"]), 1);
    assert.equal(await host.conntrack.sever(["203.0.113.9", "2001:db8::9"]), 2);
    assert.deepEqual(asked, []);
  });
});
