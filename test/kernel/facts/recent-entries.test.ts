// Facts of the files in /proc/net/xt_recent: what a write means, and what fits (kernel.md › xt_recent). They don't depend on the backend.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { eventually } from "../../support/eventually.ts";
import { families, forBackends, iptables, type ListEntry, listedAddresses, readList, writeList } from "../../support/kernel.ts";
import { createNetwork, type Network } from "../../support/namespaces.ts";
import { startTraffic } from "../../support/traffic.ts";

const check = ["-m", "recent", "--name", "facts", "--rsource", "--rcheck"];

/** A network whose host has the list `facts`, in a table that both families share. */
async function networkWithList(): Promise<Network> {
  const network = await createNetwork();
  await iptables(network, "nft", 4, "-A", "INPUT", ...check);
  await iptables(network, "nft", 6, "-A", "INPUT", ...check);
  return network;
}

async function entry(network: Network, address: string): Promise<ListEntry> {
  const found = (await readList(network, "facts"))?.find((candidate) => candidate.address === address);
  assert.ok(found !== undefined, `${address} is listed`);
  return found;
}

test("a full list drops the entry that was updated least recently, and the write succeeds", async () => {
  await using network = await networkWithList();
  const capacity = Number(await readFile("/sys/module/xt_recent/parameters/ip_list_tot", "utf8"));
  const [v4, v6] = families;
  assert.ok(v4 !== undefined && v6 !== undefined);
  const fill = Array.from({ length: capacity }, (_, n) => (n % 2 === 0 ? v4 : v6).source(n + 1));
  const writes = fill.map((address) => `echo +${address} > /proc/net/xt_recent/facts`);
  await network.exec("host", "sh", ["-e"], writes.join("\n"));
  assert.deepEqual(await listedAddresses(network, "facts"), [...fill].sort());

  const [first = "", second = "", ...rest] = fill;
  await writeList(network, "facts", `+${first}\n`);
  await writeList(network, "facts", "+203.0.113.1\n");
  assert.deepEqual(await listedAddresses(network, "facts"), [first, ...rest, "203.0.113.1"].sort());
  assert.ok(!(await listedAddresses(network, "facts"))?.includes(second));
});

test("one write is one command: what follows the first line is reported as written and lost", async () => {
  await using network = await networkWithList();
  await writeList(network, "facts", "+10.9.0.1\n+10.9.0.2\n");
  assert.deepEqual(await listedAddresses(network, "facts"), ["10.9.0.1"]);
});

test("one open is one write: the second on the same descriptor fails", async () => {
  await using network = await networkWithList();
  await assert.rejects(writeList(network, "facts", "+10.9.0.1\n+10.9.0.2\n", "+10.9.0.1\n".length), /Illegal seek/);
  assert.deepEqual(await listedAddresses(network, "facts"), ["10.9.0.1"]);
});

test("networks and addresses without a sign are refused", async () => {
  await using network = await networkWithList();
  for (const text of ["+10.9.0.0/24\n", "+2001:db8:9:1::/64\n", "10.9.0.1\n"]) {
    await assert.rejects(writeList(network, "facts", text), /Invalid argument/, text);
  }
  assert.deepEqual(await readList(network, "facts"), []);
});

test("leading zeros are decimal, and an IPv4-mapped address is stored as IPv6", async () => {
  await using network = await networkWithList();
  await writeList(network, "facts", "+010.0.0.8\n");
  await writeList(network, "facts", "+::ffff:10.9.0.1\n");
  assert.deepEqual(await listedAddresses(network, "facts"), ["10.0.0.8", "::ffff:10.9.0.1"]);
});

test("taking out an address that is not there succeeds, and a slash empties the list", async () => {
  await using network = await networkWithList();
  await writeList(network, "facts", "+10.9.0.1\n");
  await writeList(network, "facts", "-10.9.0.2\n");
  assert.deepEqual(await listedAddresses(network, "facts"), ["10.9.0.1"]);
  await writeList(network, "facts", "/\n");
  assert.deepEqual(await readList(network, "facts"), []);
});

test("a plus stamps the present time in jiffies, so two of them tell HZ", async () => {
  await using network = await networkWithList();
  const began = performance.now();
  await writeList(network, "facts", "+10.9.0.1\n");
  const wrote = performance.now();
  const first = await entry(network, "10.9.0.1");
  assert.deepEqual(first.stamps, [first.lastSeen]);

  // The longer it lasts, the less a slow write matters.
  let possible: readonly number[] = [];
  await eventually("the two stamps tell HZ", async () => {
    const beganAgain = performance.now();
    await writeList(network, "facts", "+10.9.0.1\n");
    const wroteAgain = performance.now();
    const second = await entry(network, "10.9.0.1");
    assert.equal(second.stamps[0], first.lastSeen);
    assert.equal(second.stamps.at(-1), second.lastSeen);
    const jiffies = second.lastSeen - first.lastSeen;
    possible = [100, 250, 300, 1000].filter((hz) => {
      const elapsed = (jiffies * 1000) / hz;
      return elapsed >= beganAgain - wrote - 1000 / hz && elapsed <= wroteAgain - began + 1000 / hz;
    });
    return jiffies > 0 && possible.length < 2;
  });
  assert.equal(possible.length, 1);
});

test("an IPv6 address stands in the file in full", async () => {
  await using network = await networkWithList();
  await writeList(network, "facts", "+2001:db8::5\n");
  assert.match(
    await network.exec("host", "cat", ["/proc/net/xt_recent/facts"]),
    /^src=2001:0db8:0000:0000:0000:0000:0000:0005 ttl: 0 /,
  );
});

forBackends((backend) => {
  test("a list's mask is that of the first rule that names it; a write to the file is not masked and never matches", async () => {
    await using network = await createNetwork();
    const traffic = await startTraffic(network, 8001);
    const drop = ["-p", "tcp", ...check, "--mask", "255.255.255.0", "-j", "DROP"];
    const set = ["-p", "tcp", "--syn", "-m", "recent", "--name", "facts", "--rsource", "--set"];
    await iptables(network, backend, 4, "-A", "INPUT", ...drop);
    await writeList(network, "facts", "+10.9.0.7\n");
    assert.deepEqual(await listedAddresses(network, "facts"), ["10.9.0.7"]);
    assert.equal(await traffic.knock("10.9.0.7", 8001), "connected", "10.9.0.7 is looked up as 10.9.0.0");

    await iptables(network, backend, 4, "-A", "INPUT", ...set);
    assert.equal(await traffic.knock("10.9.3.7", 8001), "connected");
    assert.deepEqual(await listedAddresses(network, "facts"), ["10.9.0.7", "10.9.3.0"]);
    assert.equal(await traffic.knock("10.9.3.9", 8001, 200), "timeout");
  });
});
