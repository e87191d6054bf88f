import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseNetwork } from "../../src/domain/network.ts";
import type { Desired } from "../../src/domain/ports.ts";
import type { LedgerBan } from "../../src/netfilter/bans/ban-ledger.ts";
import type { SavedSet } from "../../src/netfilter/ipset/saved-sets.ts";
import { parseSavedTable } from "../../src/netfilter/iptables/saved-table.ts";
import { writesOf } from "../../src/netfilter/plan.ts";
import { type Actual, planPass, planSparingly, planTimedEntries } from "../../src/netfilter/planning.ts";
import { returnsOf } from "../../src/netfilter/returns.ts";
import { atOnce } from "../support/at-once.ts";
import { createFakeRecentLists } from "../support/fake-recent-lists.ts";
import { sampleOperatorBan, samplePolicy } from "../support/samples.ts";
import { createTestClock } from "../support/test-clock.ts";
import { desire } from "./host.ts";
import { classicBan, somePolicies } from "./some-policies.ts";

const now = Date.UTC(2026, 10, 22, 8);
const address = "203.0.113.9";
const mysql = samplePolicy({ ban: classicBan });
const heldList = "cld4-host-held-32-reset-once-all";
const empty = parseSavedTable("");

function lost(different: Partial<LedgerBan> = {}): LedgerBan {
  return {
    ...{ home: "cld4-h32ro-all", address, policies: ["mysql"], since: now - 10_000, expiresAt: now + 50_500 },
    ...{ present: false, lastSeenAt: now - 10_000 },
    ...different,
  };
}

/** A kernel that has nothing of ours. */
function bare(different: Partial<Actual> = {}): Actual {
  const lists = createFakeRecentLists({ clock: createTestClock() });
  return {
    ...{
      tables: { 4: empty, 6: empty },
      sets: new Map<string, SavedSet>(),
      lists,
      running: [],
      now,
      readAt: now,
      writtenEnds: new Map<string, ReadonlyMap<string, number | null>>(),
    },
    ...{ protectedNetworks: [parseNetwork("127.0.0.0/8")], stuckSets: new Set<string>() },
    ...different,
  };
}

/** Lists that nothing may be written to. */
const readOnly: Actual["lists"] = {
  ...createFakeRecentLists({ clock: createTestClock() }),
  write: () => assert.fail("a plan writes nothing"),
};

describe("a plan", () => {
  test("creates sets before it fills them, and has the rules that name lists before their entries", () => {
    const bans = [sampleOperatorBan({ address: "192.0.2.1" }), sampleOperatorBan({ address: "10.0.0.0/8" })];
    const plan = atOnce(planPass(desire([mysql], bans), bare({ running: [lost()] })));
    const lines = (start: string) => plan.ipset.flatMap((line, index) => (line.startsWith(start) ? [index] : []));
    assert.ok(Math.max(...lines("create ")) < Math.min(...lines("add ")));
    assert.deepEqual(plan.ipset.slice(lines("create ").length), [
      `add cld4-h32ro-all ${address} timeout 50`,
      "add cld4-operator 10.0.0.0/8 timeout 0",
    ]);
    assert.deepEqual(plan.recent, [{ list: "cld4-operator", write: "+192.0.2.1" }]);
    assert.deepEqual([plan.tables[4].at(0), plan.tables[4].at(-1)], ["*filter", "COMMIT"]);
    assert.equal(writesOf(plan), plan.ipset.length + plan.tables[4].length + plan.tables[6].length + 1);
  });

  test("destroys sets that nothing wants, except those that can't be", () => {
    const set = (name: string): SavedSet => ({ name, shape: "hash:ip", capacity: 1, entries: new Map() });
    const sets = new Map(["cld4-old", "cld6-stuck"].map((name) => [name, set(name)]));
    const plan = atOnce(planPass(desire([]), bare({ sets, stuckSets: new Set(["cld6-stuck"]) })));
    assert.deepEqual(plan.obsoleteSets, ["cld4-old"]);
  });

  test("names sets of another shape", () => {
    const sets = new Map([
      ["cld4-grace", { name: "cld4-grace", shape: "hash:ip family inet maxelem 1", capacity: 1, entries: new Map() }],
    ]);
    assert.deepEqual(atOnce(planPass(desire([]), bare({ sets }))).misshapenSets, ["cld4-grace"]);
  });

  test("is the same each time, and changes nothing", () => {
    fc.assert(
      fc.property(somePolicies(5), fc.boolean(), (policies, withSets) => {
        const desired = desire(
          policies,
          [sampleOperatorBan(), sampleOperatorBan({ address: "10.0.0.0/8" })],
          [],
          [{ address: "192.0.2.1", until: now + 60_000 }],
        );
        const actual = bare({ lists: readOnly, running: [lost()], ...(withSets ? {} : { sets: null }) });
        const before = JSON.stringify([desired, actual.running]);
        assert.deepEqual(atOnce(planPass(desired, actual)), atOnce(planPass(desired, actual)));
        assert.deepEqual(atOnce(planSparingly(desired, actual)), atOnce(planPass(desired, actual)));
        assert.equal(JSON.stringify([desired, actual.running]), before);
      }),
      { numRuns: 40 },
    );
  });

  test("without ipset has no word for it", () => {
    const plan = atOnce(planPass(desire([mysql], [sampleOperatorBan({ address: "10.0.0.0/8" })]), bare({ sets: null })));
    assert.deepEqual([plan.ipset, plan.obsoleteSets, plan.misshapenSets], [[], [], []]);
    for (const line of [...plan.tables[4], ...plan.tables[6]]) assert.doesNotMatch(line, /(match|add)-set /);
  });
});

describe("a lost ban is put back", () => {
  const returned = (ban: LedgerBan, desired: Desired = desire([mysql]), different: Partial<Actual> = {}) =>
    returnsOf(desired, bare({ running: [ban], ...different })).map(({ home }) => [home.storage, home.seconds, home.scope]);

  test("into its set with the whole seconds that are left, so that it never ends later", () => {
    assert.deepEqual(returned(lost()), [["ipset", null, "host"]]);
    const plan = atOnce(planPass(desire([mysql]), bare({ running: [lost({ expiresAt: now + 9_999 })] })));
    assert.ok(plan.ipset.includes(`add cld4-h32ro-all ${address} timeout 9`));
    assert.ok(plan.found.includes(`ban of ${address} missing in cld4-h32ro-all`));
  });

  test("into a list whose entries the service ends where it was in a list, and the rules look at that list", () => {
    const ban = lost({ home: "cld4-host-60s-32-reset-once-all" });
    const plan = atOnce(planPass(desire([mysql]), bare({ running: [ban], sets: null })));
    assert.deepEqual(plan.recent, [{ list: heldList, write: `+${address}` }]);
    assert.ok(plan.tables[4].some((line) => line.includes(` --rcheck --name ${heldList} `)));
  });

  test("not while it is there, has less than a second left, or is of a home that nobody understands", () => {
    assert.deepEqual(returned(lost({ present: true })), []);
    assert.deepEqual(returned(lost({ expiresAt: now + 999 })), []);
    assert.deepEqual(returned(lost({ home: "cld4-elsewhere" })), []);
  });

  test("as far as the list has room, those that run longest first", () => {
    const lists = createFakeRecentLists({ clock: createTestClock() });
    lists.setCapacity(2);
    lists.keepOnly([heldList]);
    lists.stamp(heldList, "192.0.2.99");
    const running = [10_000, 30_000, 20_000].map((left, index) =>
      lost({ home: "cld4-host-60s-32-reset-once-all", address: `192.0.2.${index}`, expiresAt: now + left }),
    );
    assert.deepEqual(
      returnsOf(desire([mysql]), bare({ lists, running, sets: null })).map(({ ban }) => ban.address),
      ["192.0.2.1"],
    );
  });

  test("whoever's ports it is about, under the policy's terms of now", () => {
    const ports = samplePolicy({ ports: [3307], ban: { ...classicBan, scope: "ports" } });
    const plan = atOnce(planPass(desire([ports]), bare({ running: [lost({ home: "cld4-p32-mysql" })] })));
    assert.ok(plan.tables[4].some((line) => line.includes("--dport 3307") && line.includes("--match-set cld4-p32-mysql src")));
  });
});

describe("entries with an end", () => {
  const graces = [
    { address, until: now + 60_000 },
    { address: "2001:db8:1:2::/64", until: now + 60_000 },
    { address: "10.0.0.0/8", until: now + 60_000 },
  ];

  test("are with ipset all in the sets of grace", () => {
    const lines = atOnce(planTimedEntries(desire([mysql], [], [], graces), bare())).flatMap((plan) => plan.ipset);
    assert.deepEqual(lines, [
      `add cld4-grace ${address} timeout 60`,
      "add cld4-grace 10.0.0.0/8 timeout 60",
      "add cld6-grace 2001:db8:1:2::/64 timeout 60",
    ]);
  });

  test("are without ipset in a list for each prefix by which a policy that bans counts", () => {
    const actual = bare({ sets: null });
    const written = (policies: Desired["policies"]) =>
      atOnce(planTimedEntries(desire(policies, [], [], graces), actual)).flatMap((plan) =>
        plan.recent.map(({ list, write }) => `${list} ${write}`),
      );
    assert.deepEqual(written([mysql]), [`cld4-grace-32 +${address}`, "cld6-grace-64 +2001:db8:1:2::"]);
    assert.deepEqual(written([{ ...mysql, countPer: { ipv4Prefix: 8, ipv6Prefix: 128 } }]), ["cld4-grace-8 +10.0.0.0"]);
    assert.deepEqual(
      written([
        { ...mysql, ban: null },
        { ...mysql, name: "off", mode: "off" },
      ]),
      [],
    );
  });
});

describe("a sparing plan", () => {
  const oldHome = "cld4-host-600s-32-reset-once-all";
  const before = atOnce(planPass(desire([mysql]), bare({ sets: null, running: [lost({ home: oldHome, present: true })] })));
  const lists = createFakeRecentLists({ clock: createTestClock() });
  lists.keepOnly([oldHome, "cld4-host-60s-32-reset-once-all"]);
  const tableOf = (lines: readonly string[]) =>
    parseSavedTable(["*filter", ...lines.slice(1, -1), "COMMIT"].join("\n").replace("-I INPUT 1", "-A INPUT"));
  /** The kernel after the last ban of the old home has ended. */
  const after = bare({ sets: null, lists, tables: { 4: tableOf(before.tables[4]), 6: tableOf(before.tables[6]) } });

  test("leaves a home whose last ban has ended as it is", () => {
    assert.ok(atOnce(planPass(desire([mysql]), after)).tables[4].some((line) => line.startsWith("-D CLD-INPUT")));
    const plan = atOnce(planSparingly(desire([mysql]), after));
    assert.deepEqual([plan.tables, plan.found], [{ 4: [], 6: [] }, []]);
  });

  test("takes it out where there is another reason to write", () => {
    const more = desire([mysql, samplePolicy({ name: "web", ports: [80] })]);
    assert.deepEqual(atOnce(planSparingly(more, after)), atOnce(planPass(more, after)));
  });
});
