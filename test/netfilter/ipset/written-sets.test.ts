import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSavedSets } from "../../../src/netfilter/ipset/saved-sets.ts";
import { noteLines } from "../../../src/netfilter/ipset/written-sets.ts";

const saved = () =>
  parseSavedSets("create cld4-operator hash:net family inet maxelem 9\nadd cld4-operator 192.0.2.1 timeout 7\n");

test("lines that add and take out are noted, with the time that is left as of the reading", () => {
  const sets = saved();
  const lines = [
    "add cld4-operator 10.0.0.0/8 timeout 60",
    "del cld4-operator 192.0.2.1",
    "add cld4-operator 192.0.2.2 timeout 0",
  ];
  assert.equal(noteLines(sets, lines, 3), true);
  assert.deepEqual(
    [...(sets.get("cld4-operator")?.entries.values() ?? [])],
    [
      { address: "10.0.0.0/8", secondsLeft: 63 },
      { address: "192.0.2.2", secondsLeft: null },
    ],
  );
});

test("a set that a line makes is empty, and takes what further lines add", () => {
  const sets = saved();
  const words = "hash:ip family inet hashsize 64 maxelem 5 timeout 0";
  assert.equal(noteLines(sets, [`create cld4-o32-web ${words}`, "add cld4-o32-web 192.0.2.9 timeout 5"], 0), true);
  const { shape, capacity, entries } = sets.get("cld4-o32-web") ?? assert.fail("there is no such set");
  assert.deepEqual([shape, capacity], ["hash:ip family inet maxelem 5", 5]);
  assert.deepEqual([...entries.values()], [{ address: "192.0.2.9", secondsLeft: 5 }]);
});

test("lines that make a set anew, end one, or fill one that was not read, leave open what is there", () => {
  for (const line of [
    "create cld4-operator hash:net",
    "destroy cld4-operator",
    "flush cld4-operator",
    "add cld4-grace 192.0.2.1",
  ])
    assert.equal(noteLines(saved(), [line], 0), false, line);
});
