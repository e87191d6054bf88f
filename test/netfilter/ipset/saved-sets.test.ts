import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parseSavedSets, SetOutputError, shapeOf, startOfText } from "../../../src/netfilter/ipset/saved-sets.ts";

const created = "create cld4-operator hash:net family inet hashsize 64 maxelem 262144 timeout 0 bucketsize 12 initval 0x3468df69";

describe("the text of `ipset save`", () => {
  test("gives each set of this service with its entries and the seconds that they have left", () => {
    const sets = parseSavedSets(
      `${created}\nadd cld4-operator 10.1.1.1 timeout 0\nadd cld4-operator 10.0.0.0/8 timeout 4\ncreate cld6-h64ro-all hash:ip family inet6 hashsize 64 maxelem 262144 netmask 64 timeout 0\nadd cld6-h64ro-all 2001:db8:1:2:: timeout 59\n`,
    );
    assert.deepEqual(
      [...sets.values()].map(({ name, capacity, entries }) => ({ name, capacity, entries: [...entries.values()] })),
      [
        {
          name: "cld4-operator",
          capacity: 262_144,
          entries: [
            { address: "10.1.1.1", secondsLeft: null },
            { address: "10.0.0.0/8", secondsLeft: 4 },
          ],
        },
        { name: "cld6-h64ro-all", capacity: 262_144, entries: [{ address: "2001:db8:1:2::", secondsLeft: 59 }] },
      ],
    );
  });

  test("leaves the sets of others out, with their entries", () => {
    const others =
      "create blocklist hash:ip family inet maxelem 65536\nadd blocklist 192.0.2.1\ncreate cld4-X hash:ip\nadd cld4-X 192.0.2.1";
    assert.deepEqual([...parseSavedSets(`${others}\n${created}\n`).keys()], ["cld4-operator"]);
  });

  test("of a host without sets gives none", () => assert.equal(parseSavedSets("").size, 0));

  test("gives entries of any form, whatever stands between them and wherever it is cut", () => {
    const lines = [
      "create cld6-operator hash:net family inet6 maxelem 9 timeout 0",
      "add cld6-operator 2001:db8::1 timeout 12345",
      "add cld6-operator 2001:db8:1234:5678::/64 timeout 7",
      "add cld6-operator ::ffff:192.0.2.1 timeout 0",
      "add cld6-operator 2001:db8::2 timeout 9 nomatch",
      'add cld6-operator 2001:db8::3 timeout 8 comment "x"',
      'add cld6-operator 2001:db8::4 comment "timeout 7',
      'add cld6-operator 2001:db8::5 timeout 6"',
      "create other hash:ip family inet6",
      "add other 2001:db8::9",
      "add cld6-operator 2001:db8::6",
      "add cld4-operator 192.0.2.1 timeout 5",
      "add cld6-operator 2001:db8::7 timeout 4",
    ];
    const wanted = [
      { address: "2001:db8::1", secondsLeft: 12_345 },
      { address: "2001:db8:1234:5678::/64", secondsLeft: 7 },
      { address: "192.0.2.1", secondsLeft: null },
      { address: "2001:db8::2", secondsLeft: 9 },
      { address: "2001:db8::3", secondsLeft: 8 },
      { address: "2001:db8::4", secondsLeft: null },
      { address: "2001:db8::6", secondsLeft: null },
      { address: "2001:db8::7", secondsLeft: 4 },
    ];
    for (let cut = 0; cut <= lines.length; cut += 1) {
      const [sets, place] = [new Map(), startOfText()];
      for (const piece of [lines.slice(0, cut), lines.slice(cut)])
        parseSavedSets(piece.map((line) => `${line}\n`).join(""), sets, place);
      assert.deepEqual([...(sets.get("cld6-operator")?.entries.values() ?? [])], wanted, `cut after line ${cut}`);
      assert.deepEqual([...sets.keys()], ["cld6-operator"]);
    }
  });

  test("is not kept in memory by what was read of it", () => {
    setFlagsFromString("--expose-gc");
    const collectGarbage = runInNewContext("gc") as () => void;
    const comments = `add other 192.0.2.1 comment "${"x".repeat(4 * 1024 ** 2)}"\n`;
    const lines = (n: number) =>
      `create cld4-w32-${n} hash:ip family inet hashsize ${64 * n} maxelem 65536 timeout 0 initval 0x${n}\nadd cld4-w32-${n} 198.51.100.100 timeout ${n}\n`;
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    const kept = Array.from({ length: 8 }, (_, n) => parseSavedSets(`${lines(n + 1)}${comments}`));
    // V8 keeps what the last regular expression has met.
    assert.match("", /^$/);
    collectGarbage();
    const grown = process.memoryUsage().heapUsed - before;
    assert.ok(grown < 4 * 1024 ** 2, `${grown} bytes for ${kept.length} sets`);
  });

  test("leaves out an entry that can't be read and one of a set that was not created", () => {
    const sets = parseSavedSets(
      `${created}\nadd cld4-operator nonsense timeout 4\nadd cld4-operator\nadd cld4-grace 192.0.2.1\n`,
    );
    assert.deepEqual(
      [...sets].map(([name, { entries }]) => [name, [...entries.values()]]),
      [["cld4-operator", []]],
    );
  });

  test("gives an entry without a timeout no end", () => {
    const [set] = parseSavedSets("create cld4-operator hash:net family inet maxelem 9\nadd cld4-operator 192.0.2.1\n").values();
    assert.deepEqual(set && [...set.entries.values()], [{ address: "192.0.2.1", secondsLeft: null }]);
  });
});

describe("the shape of a set", () => {
  test("is made of the words that decide what it can hold, in an order of its own", () => {
    const shape = "hash:ip family inet6 netmask 64 maxelem 10";
    assert.equal(shapeOf("hash:ip family inet6 hashsize 64 maxelem 10 netmask 64 timeout 0 bucketsize 12"), shape);
    assert.equal(shapeOf("hash:ip netmask 64 maxelem 10 family inet6 hashsize 1024"), shape);
  });

  test("differs with each of them", () => {
    const shapes = ["hash:ip family inet maxelem 10", "hash:net family inet maxelem 10", "hash:ip family inet6 maxelem 10"];
    const more = ["hash:ip family inet maxelem 11", "hash:ip family inet netmask 24 maxelem 10"];
    assert.equal(new Set([...shapes, ...more].map((words) => shapeOf(words))).size, 5);
  });
});

test("comments of others may have lines of any kind, and end in another piece of the text", () => {
  const place = startOfText();
  const first = 'create other hash:ip comment\nadd other 192.0.2.1 comment "a\ncreate cld4-grace hash:net\nxyzzy\n';
  const sets = parseSavedSets(first, new Map(), place);
  assert.deepEqual([...sets.keys()], []);
  const second =
    'b"\nadd other 192.0.2.2 comment "c"\ncreate cld4-grace hash:net family inet maxelem 5\nadd cld4-grace 192.0.2.3\n';
  parseSavedSets(second, sets, place);
  assert.deepEqual([...(sets.get("cld4-grace")?.entries.keys() ?? [])], ["192.0.2.3"]);
  assert.throws(() => parseSavedSets("xyzzy\n", sets, place), SetOutputError);
});
