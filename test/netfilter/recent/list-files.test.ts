// How the files are read, and what may be written to them. A plain file stands in for the kernel's: what the kernel does with a
// command is a matter of test/kernel.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import { createRecentLists, parseEntries } from "../../../src/netfilter/recent/list-files.ts";

const parent = mkdtempSync(join(tmpdir(), "connlimitd-lists-"));
after(() => rmSync(parent, { recursive: true }));
const directory = join(parent, "xt_recent");
const lists = createRecentLists(directory);

function put(name: string, text: string): void {
  writeFileSync(join(directory, name), text);
}

function content(name: string): string {
  return readFileSync(join(directory, name), "utf8");
}

beforeEach(() => {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory);
});

const ipv4 = "src=203.0.113.9 ttl: 64 last_seen: 4294967295 oldest_pkt: 2 4294967000, 4294967295";
const ipv6 = "src=2001:0db8:0001:0002:0000:0000:0000:0000 ttl: 0 last_seen: 4300000000 oldest_pkt: 1 4300000000";

describe("a list", () => {
  test("is read with its addresses in canonical text and its stamps in jiffies", () => {
    put("cld4-x", `${ipv4}\n${ipv6}\n`);
    assert.deepEqual(lists.read("cld4-x"), [
      { address: "203.0.113.9", words: "203.0.113.9", lastSeen: 4_294_967_295, stamps: [4_294_967_000, 4_294_967_295] },
      {
        address: "2001:db8:1:2::",
        words: "2001:0db8:0001:0002:0000:0000:0000:0000",
        lastSeen: 4_300_000_000,
        stamps: [4_300_000_000],
      },
    ]);
  });

  test("that nobody is on is empty, and one that does not exist is undefined", () => {
    put("cld4-x", "");
    assert.deepEqual(lists.read("cld4-x"), []);
    assert.equal(lists.read("cld4-y"), undefined);
  });

  test("of another service can be read", () => {
    put("f2b-sshd", `${ipv4}\n`);
    assert.equal(lists.read("f2b-sshd")?.length, 1);
  });

  test("exists while its file does", () => {
    put("cld4-x", "");
    assert.deepEqual([lists.exists("cld4-x"), lists.exists("cld4-y")], [true, false]);
  });

  test("that can't be read for another reason than its absence delays enforcement", () => {
    mkdirSync(join(directory, "cld4-x"));
    assert.throws(() => lists.read("cld4-x"), { name: "EnforcementDelayed", message: /xt_recent can't be used: EISDIR/ });
  });
});

describe("the names", () => {
  test("are those of every list on the host", () => {
    put("cld4-x", "");
    put("f2b-sshd", "");
    assert.deepEqual([...lists.names()].sort(), ["cld4-x", "f2b-sshd"]);
  });

  test("are none where the module is not loaded", () => assert.deepEqual(createRecentLists(join(parent, "absent")).names(), []));
});

describe("a command", () => {
  test("is one line with the address", () => {
    put("cld4-x", "");
    for (const command of ["+203.0.113.9", "-203.0.113.9", "+2001:db8::1", "-0000:0000:0000:0000:0000:ffff:c000:0201"]) {
      assert.equal(lists.write("cld4-x", command), true);
      assert.equal(content("cld4-x"), `${command}\n`);
    }
  });

  test("to a list that does not exist says so", () => {
    rmSync(directory, { recursive: true });
    assert.equal(lists.write("cld4-x", "+203.0.113.9"), false);
    assert.equal(lists.write("cld4-x", "-203.0.113.9"), false);
  });

  test("to a list of somebody else is a mistake in this program, and writes nothing", () => {
    for (const name of ["f2b-sshd", "cld5-x", "cld4-", "cld4-X", "cld4-../x", "cld4-x/y", "../cld4-x", "cld4-x\n"]) {
      for (const command of ["+203.0.113.9", "-203.0.113.9"]) assert.throws(() => lists.write(name, command), TypeError, name);
    }
  });

  test("in other words than the kernel's is a mistake in this program, and writes nothing", () => {
    put("cld4-x", "");
    for (const command of ["203.0.113.9", "/", "+", "", "+10.0.0.0/8", "+203.0.113.9\n+203.0.113.10", "+a b", "+203.0.113.9\n"]) {
      assert.throws(() => lists.write("cld4-x", command), TypeError, command);
    }
    assert.equal(content("cld4-x"), "");
  });

  test("that the file does not take delays enforcement", () => {
    mkdirSync(join(directory, "cld4-x"));
    assert.throws(() => lists.write("cld4-x", "+203.0.113.9"), { name: "EnforcementDelayed", message: /EISDIR/ });
  });

  test("can be told not to be taken without being written", () => {
    put("cld4-x", ipv4);
    assert.deepEqual([lists.isWritable("cld4-x"), lists.isWritable("cld4-y")], [true, false]);
    assert.equal(content("cld4-x"), ipv4);
  });
});

describe("lines of a list", () => {
  test("that are no entries are left out", () => {
    assert.deepEqual(parseEntries(`\nnonsense\nsrc=203.0.113.9\nsrc=999.0.0.1 ttl: 0 last_seen: 1 oldest_pkt: 1 1\n${ipv4}\n`), [
      { address: "203.0.113.9", words: "203.0.113.9", lastSeen: 4_294_967_295, stamps: [4_294_967_000, 4_294_967_295] },
    ]);
  });

  test("give the packets that the kernel remembers oldest first, wherever its ring begins", () => {
    const [entry] = parseEntries("src=203.0.113.9 ttl: 64 last_seen: 30 oldest_pkt: 2 30, 10, 20");
    assert.deepEqual([entry?.stamps, entry?.lastSeen], [[10, 20, 30], 30]);
  });

  test("with the address of a network give it as the list's mask left it", () => {
    assert.deepEqual(parseEntries("src=10.0.0.0 ttl: 0 last_seen: 5 oldest_pkt: 1 5")[0]?.address, "10.0.0.0");
  });
});

test("a list holds as many entries as the module says, and a hundred where it says nothing", () => {
  assert.ok(Number.isInteger(lists.capacity()) && lists.capacity() >= 1);
});
