import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { longestSetTimeout } from "../../../src/netfilter/bans/ban-home.ts";
import { operatorName } from "../../../src/netfilter/bans/names.ts";
import { planEntries, timeoutOf, type WantedEntry } from "../../../src/netfilter/bans/timed-entries.ts";
import { parseSavedSets } from "../../../src/netfilter/ipset/saved-sets.ts";
import { createRecentLists } from "../../../src/netfilter/recent/list-files.ts";
import { atOnce } from "../../support/at-once.ts";
import { createFakeRecentLists } from "../../support/fake-recent-lists.ts";
import { createSimulatedIpset } from "../../support/simulated-ipset.ts";
import { createTestClock } from "../../support/test-clock.ts";

const name = operatorName(4);
const start = 1_000_000_000_000;

function entries(...addresses: readonly string[]): readonly WantedEntry[] {
  return addresses.map((address) => ({ address, expiresAt: null }));
}

/** A list and, where it is not told otherwise, a set of one name in a kernel of their own. */
function createHome({ capacity = 3, withSet = true } = {}) {
  const clock = createTestClock(start);
  const lists = createFakeRecentLists({ clock });
  lists.keepOnly([name]);
  lists.setCapacity(capacity);
  const ipset = createSimulatedIpset({ clock });
  if (withSet) ipset.edit(`create ${name} hash:net family inet hashsize 64 maxelem 1000 timeout 0`);
  const plan = async (wanted: readonly WantedEntry[]) => {
    const saved = parseSavedSets((await ipset.run("ipset", ["save"])).stdout);
    return atOnce(planEntries(name, 4, wanted, lists, withSet ? saved.get(name) : null, clock.now()));
  };
  return {
    clock,
    lists,
    ipset,
    plan,
    bring: async (wanted: readonly WantedEntry[]) => {
      const { recent, ipset: lines, homeless } = await plan(wanted);
      ipset.edit(...lines);
      for (const { list, write } of recent) lists.write(list, write);
      return homeless;
    },
    listed: () => lists.read(name)?.map((entry) => entry.address),
    inSet: () => Object.keys(ipset.left(name) ?? {}),
  };
}

describe("wanted entries", () => {
  test("stand in the list while it has room, and the rest in the set", async () => {
    const home = createHome();
    await home.bring(entries("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5"));
    assert.deepEqual(home.listed(), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
    assert.deepEqual(home.inSet(), ["192.0.2.4", "192.0.2.5"]);
  });

  test("that are networks stand in the set, whatever room the list has", async () => {
    const home = createHome();
    await home.bring(entries("10.0.0.0/8", "192.0.2.1"));
    assert.deepEqual([home.listed(), home.inSet()], [["192.0.2.1"], ["10.0.0.0/8"]]);
  });

  test("are those of the family alone", async () => {
    const home = createHome();
    await home.bring(entries("2001:db8::1", "2001:db8::/32", "192.0.2.1"));
    assert.deepEqual([home.listed(), home.inSet()], [["192.0.2.1"], []]);
  });

  test("stay where they are when there is room elsewhere", async () => {
    const home = createHome({ capacity: 1 });
    await home.bring(entries("192.0.2.1", "192.0.2.2"));
    await home.bring(entries("192.0.2.2"));
    assert.deepEqual([home.listed(), home.inSet()], [[], ["192.0.2.2"]]);
    assert.deepEqual(await home.plan(entries("192.0.2.2")), { name, recent: [], ipset: [], homeless: [], added: [] });
  });

  test("make room before they take more", async () => {
    const home = createHome({ capacity: 2, withSet: false });
    await home.bring(entries("192.0.2.1", "192.0.2.2"));
    assert.deepEqual(await home.bring(entries("192.0.2.2", "192.0.2.3")), []);
    assert.deepEqual(home.listed(), ["192.0.2.2", "192.0.2.3"]);
  });

  test("are homeless where the list is full and there is no set, and networks there in any case", async () => {
    const home = createHome({ capacity: 1, withSet: false });
    assert.deepEqual(await home.bring(entries("192.0.2.1", "192.0.2.2", "10.0.0.0/8")), ["192.0.2.2", "10.0.0.0/8"]);
    assert.deepEqual(home.listed(), ["192.0.2.1"]);
  });

  test("never push one another out, however many come and go", async () => {
    const addresses = Array.from({ length: 8 }, (_, index) => `192.0.2.${index}`);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.subarray(addresses), { maxLength: 5 }), async (steps) => {
        const home = createHome();
        for (const wanted of steps) {
          assert.deepEqual(await home.bring(entries(...wanted)), []);
          assert.deepEqual([...(home.listed() ?? []), ...home.inSet()].sort(), [...wanted].sort());
        }
      }),
    );
  });
});

describe("what nobody wants", () => {
  test("is taken out of list and set, and the rest keeps its stamps", async () => {
    const home = createHome();
    home.lists.stamp(name, "192.0.2.1", 7);
    home.lists.stamp(name, "198.51.100.1");
    home.ipset.edit(`add ${name} 10.0.0.0/8`);
    await home.bring(entries("192.0.2.1"));
    assert.deepEqual([home.listed(), home.inSet()], [["192.0.2.1"], []]);
    assert.equal(home.lists.read(name)?.[0]?.lastSeen, 7);
  });

  test("is what stands in the set as well as in the list", async () => {
    const home = createHome();
    await home.bring(entries("192.0.2.1"));
    home.ipset.edit(`add ${name} 192.0.2.1`);
    await home.bring(entries("192.0.2.1"));
    assert.deepEqual([home.listed(), home.inSet()], [["192.0.2.1"], []]);
  });

  test("and was written as an IPv4 address in IPv6 is taken out in the words in which the kernel has it", () => {
    const directory = mkdtempSync(join(tmpdir(), "connlimitd-lists-"));
    try {
      const words = "0000:0000:0000:0000:0000:ffff:c000:0201";
      writeFileSync(join(directory, operatorName(6)), `src=${words} ttl: 0 last_seen: 5 oldest_pkt: 1 5\n`);
      const lists = createRecentLists(directory);
      const { recent } = atOnce(planEntries(operatorName(6), 6, [], lists, null, start));
      assert.deepEqual(recent, [{ list: operatorName(6), write: `-${words}` }]);
      for (const { list, write } of recent) lists.write(list, write);
      assert.equal(readFileSync(join(directory, operatorName(6)), "utf8"), `-${words}\n`);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe("the time that an entry has left in the set", () => {
  const until = (milliseconds: number, address = "10.0.0.0/8") => [{ address, expiresAt: start + milliseconds }];

  test("is what is left of it, rounded up, so that the kernel does not end it early", async () => {
    const home = createHome();
    await home.bring(until(90_001));
    assert.deepEqual(home.ipset.left(name), { "10.0.0.0/8": 91_000 });
  });

  test("is not written again while it runs", async () => {
    const home = createHome();
    const wanted = until(90_500);
    await home.bring(wanted);
    for (const pause of [1, 400, 999, 10_000, 333, 70_000]) {
      home.clock.advance(pause);
      assert.deepEqual((await home.plan(wanted)).ipset, []);
    }
  });

  test("is put right where somebody changed it, in either direction, and where the ban was given another end", async () => {
    for (const timeout of [5, 3600, 0]) {
      const home = createHome();
      await home.bring(until(90_000));
      home.ipset.edit(`add ${name} 10.0.0.0/8 timeout ${timeout}`);
      assert.deepEqual((await home.plan(until(90_000))).ipset, [`add ${name} 10.0.0.0/8 timeout 90`]);
      assert.deepEqual((await home.plan(until(600_000))).ipset, [`add ${name} 10.0.0.0/8 timeout 600`]);
    }
  });

  test("has no end where the ban has none, and is given one when the ban gets one", async () => {
    const home = createHome();
    await home.bring(entries("10.0.0.0/8"));
    assert.deepEqual(home.ipset.left(name), { "10.0.0.0/8": null });
    assert.deepEqual((await home.plan(entries("10.0.0.0/8"))).ipset, []);
    await home.bring(until(5000));
    assert.deepEqual(home.ipset.left(name), { "10.0.0.0/8": 5000 });
  });

  test("has no end where it is beyond ipset's reach, until it comes within", async () => {
    const home = createHome();
    const wanted = until((longestSetTimeout + 10) * 1000);
    await home.bring(wanted);
    assert.deepEqual(home.ipset.left(name), { "10.0.0.0/8": null });
    assert.deepEqual((await home.plan(wanted)).ipset, []);
    home.clock.advance(10_000);
    assert.deepEqual((await home.plan(wanted)).ipset, [`add ${name} 10.0.0.0/8 timeout ${longestSetTimeout}`]);
  });

  test("is at least a second: none would be for ever", () => {
    for (const left of [-5000, 0, 1, 999]) assert.equal(timeoutOf({ address: "10.0.0.0/8", expiresAt: start + left }, start), 1);
    assert.equal(timeoutOf({ address: "10.0.0.0/8", expiresAt: null }, start), 0);
  });

  test("does not matter in the list, which the service ends itself", async () => {
    const home = createHome();
    await home.bring(until(5000, "192.0.2.1"));
    assert.deepEqual(await home.plan(until(900_000, "192.0.2.1")), { name, recent: [], ipset: [], homeless: [], added: [] });
  });
});

test("a set that is not there yet takes what the list has no room for", () => {
  const lists = createFakeRecentLists({ clock: createTestClock() });
  lists.keepOnly([]);
  const plan = atOnce(planEntries(name, 4, entries("10.0.0.0/8", "192.0.2.1"), lists, undefined, start));
  assert.deepEqual(plan, {
    name,
    recent: [{ list: name, write: "+192.0.2.1" }],
    ipset: [`add ${name} 10.0.0.0/8 timeout 0`],
    homeless: [],
    added: [{ address: "10.0.0.0/8", expiresAt: null }],
  });
});

test("an entry that was written with another end is written anew, however near the two are", () => {
  const lists = createFakeRecentLists({ clock: createTestClock() });
  lists.keepOnly([]);
  const [wanted] = [{ address: "10.0.0.0/8", expiresAt: start + 60_500 }];
  const set = { name, shape: "", capacity: 10, entries: new Map([["10.0.0.0/8", { address: "10.0.0.0/8", secondsLeft: 60 }]]) };
  const planned = (end: number) =>
    atOnce(planEntries(name, 4, [wanted], lists, set, start, start, new Map([[name, new Map([["10.0.0.0/8", end]])]]))).ipset;
  assert.deepEqual(planned(wanted.expiresAt), []);
  assert.deepEqual(planned(wanted.expiresAt - 700), [`add ${name} 10.0.0.0/8 timeout 61`]);
});

describe("when only some addresses are looked at", () => {
  const set = (...addresses: readonly string[]) => ({
    name,
    shape: "",
    capacity: 10,
    entries: new Map(addresses.map((address) => [address, { address, secondsLeft: null }])),
  });
  const looked = (wanted: readonly string[], only: readonly string[]) => {
    const lists = createFakeRecentLists({ clock: createTestClock() });
    lists.setCapacity(2);
    lists.keepOnly([name]);
    for (const address of ["192.0.2.1", "192.0.2.2"]) lists.write(name, `+${address}`);
    const entries = wanted.map((address) => ({ address, expiresAt: null }));
    const sets = set("10.0.0.0/8", "192.0.2.3", "192.0.2.1");
    const { recent, ipset } = atOnce(planEntries(name, 4, entries, lists, sets, start, start, new Map(), new Set(only)));
    return [...recent.map(({ write }) => write), ...ipset];
  };

  test("what the list and the set hold besides stays as it is", () => {
    assert.deepEqual(looked([], []), []);
    assert.deepEqual(looked(["192.0.2.2"], ["192.0.2.2"]), []);
  });

  test("one that is wanted and missing is put where there is room", () => {
    assert.deepEqual(looked(["192.0.2.4"], ["192.0.2.4"]), [`add ${name} 192.0.2.4 timeout 0`]);
    assert.deepEqual(looked(["192.0.2.4"], ["192.0.2.2", "192.0.2.4"]), ["-192.0.2.2", "+192.0.2.4"]);
  });

  test("one that is not wanted is taken out, wherever it is", () => {
    assert.deepEqual(looked([], ["192.0.2.2"]), ["-192.0.2.2"]);
    assert.deepEqual(looked([], ["192.0.2.3"]), [`del ${name} 192.0.2.3`]);
    assert.deepEqual(looked([], ["192.0.2.1"]), ["-192.0.2.1", `del ${name} 192.0.2.1`]);
    assert.deepEqual(looked([], ["198.51.100.1", "2001:db8::1"]), []);
  });
});
