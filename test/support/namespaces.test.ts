// The networks of the kernel tests: what makes them says so when it can't, and takes back what it has begun.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { runCommand } from "./command-runner.ts";
import { createNetwork } from "./namespaces.ts";

const isThere = (name: string): boolean => existsSync(`/run/netns/${name}`);

test("a network works in both families once it is there, has as many slots for sockets as were asked for, and leaves nothing", async () => {
  const network = await createNetwork({ socketSlots: 2048 });
  const { host, client } = network.names;
  try {
    const counted = await network.exec("host", "cat", ["/proc/sys/net/ipv4/tcp_ehash_entries"]);
    // Kernels before 6.1 know only the machine's table, and say so with a negative number.
    assert.ok(Number(counted) === 2048 || Number(counted) < 0, counted);
    for (const [family, address] of [
      ["-4", "192.0.2.1"],
      ["-6", "2001:db8::1"],
    ] as const)
      assert.match(await network.exec("client", "ip", [family, "route", "get", address]), / dev link0 /);
    assert.ok(isThere(host) && isThere(client));
  } finally {
    await network.dispose();
  }
  assert.ok(!isThere(host) && !isThere(client));
});

test("a network that can't be made says why, and leaves nothing that was begun", async () => {
  const [taken, other] = [`cld-${process.pid}-taken`, `cld-${process.pid}-other`];
  const make = (...args: string[]) => runCommand({ namespace: "", program: "make-network", args, input: "" });
  const remove = (...args: string[]) => runCommand({ namespace: "", program: "remove-namespaces", args, input: "" });
  try {
    const unknown = await make("0", "net/no/such=1", taken, "", other, "");
    assert.notEqual(unknown.code, 0);
    assert.match(unknown.stderr, /^\/proc\/sys\/net\/no\/such: No such file/);
    const again = await make("0", "", taken, "", other, "");
    assert.match(again.stderr, new RegExp(`/run/netns/${taken}: File exists`));
  } finally {
    assert.equal((await remove(taken, other, "cld-that-never-was")).code, 0);
  }
  assert.ok(!isThere(taken) && !isThere(other));
  const wrong = await make("0", "", taken, "no such command", other, "");
  assert.match(wrong.stderr, /ip exited with/);
  assert.equal((await remove(taken, other)).code, 0);
});
