import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Clock, EnforcementDelayed } from "../../src/domain/ports.ts";
import { activityName, canaryName } from "../../src/netfilter/bans/names.ts";
import { createIpSets } from "../../src/netfilter/ipset/sets.ts";
import { createKernelLists } from "../../src/netfilter/kernel-lists.ts";
import { createFakeRecentLists } from "../support/fake-recent-lists.ts";
import { createSimulatedIpset } from "../support/simulated-ipset.ts";
import { createTestClock } from "../support/test-clock.ts";

const standing = [canaryName(4), canaryName(6), activityName(4), activityName(6), "cld4-x"];

function createKernel() {
  const testClock = createTestClock();
  let shift = 0;
  const clock: Clock = {
    ...testClock,
    now: () => testClock.now() + shift,
    after: (delay, callback) => {
      queueMicrotask(() => testClock.advance(delay));
      return testClock.after(delay, callback);
    },
  };
  const lists = createFakeRecentLists({ clock });
  lists.keepOnly(standing);
  const ipset = createSimulatedIpset({ clock });
  ipset.edit("create cld4-grace hash:net family inet maxelem 10 timeout 0");
  const kernelLists = createKernelLists({ lists, sets: createIpSets({ run: ipset.run }), clock });
  return {
    clock: { ...clock, advance: testClock.advance },
    lists,
    ipset,
    kernelLists,
    setWallClock: (by: number) => {
      shift += by;
    },
    entries: async (fresh = false) => {
      const entries = (await kernelLists.read(fresh)).sets?.get("cld4-grace")?.entries;
      return entries && [...entries.keys()];
    },
  };
}

describe("the sets", () => {
  test("are read once, however often somebody asks, while no packet and no write of ours changed them", async () => {
    const { kernelLists, ipset, clock } = createKernel();
    for (let ask = 0; ask < 20; ask += 1) {
      await kernelLists.read(false);
      clock.advance(100);
    }
    assert.deepEqual([ipset.started("save"), ipset.started("list")], [1, 0]);
  });

  test("are tried and read once by all who ask first, and by the measuring of the clock", async () => {
    const { kernelLists, ipset } = createKernel();
    await Promise.all([kernelLists.calibrate(), kernelLists.read(false), kernelLists.read(false)]);
    await kernelLists.read(false);
    assert.deepEqual([ipset.started("save"), ipset.started("restore")], [1, 1]);
  });

  test("are read before anybody asks, once, for all who ask then", async () => {
    const { kernelLists, ipset, clock } = createKernel();
    kernelLists.prepare();
    clock.advance(100);
    await Promise.all([kernelLists.calibrate(), kernelLists.read(false)]);
    assert.deepEqual([ipset.started("save"), ipset.started("restore")], [1, 1]);
    kernelLists.prepare();
    assert.equal(ipset.started("save"), 1);
  });

  test("that were read ahead of a pass that failed are read again", async () => {
    const { kernelLists, ipset, entries } = createKernel();
    ipset.setFault("save fails");
    kernelLists.prepare();
    await kernelLists.calibrate();
    ipset.setFault(null);
    ipset.edit("add cld4-grace 192.0.2.9 timeout 60");
    kernelLists.changed();
    assert.deepEqual(await entries(), ["192.0.2.9"]);
  });

  test("need no trial where there are some of each type", async () => {
    const { kernelLists, ipset } = createKernel();
    ipset.edit("create cld4-h32ro-all hash:ip family inet maxelem 10 timeout 0");
    assert.ok((await kernelLists.read(false)).sets?.has("cld4-h32ro-all"));
    assert.deepEqual([ipset.started("save"), ipset.started("restore")], [1, 0]);
  });

  test("that can't be read while the clock is measured are told to be so to who reads them next, and not tried twice", async () => {
    const { kernelLists, ipset } = createKernel();
    ipset.setFault("save fails");
    await kernelLists.calibrate();
    const started = ipset.started();
    await assert.rejects(kernelLists.read(false), EnforcementDelayed);
    assert.equal(ipset.started(), started);
  });

  test("are read again when somebody insists", async () => {
    const { kernelLists, ipset } = createKernel();
    await kernelLists.read(false);
    await kernelLists.read(true);
    assert.equal(ipset.started("save"), 2);
  });

  test("are read again after two and a half seconds, for changes that nothing told about", async () => {
    const { entries, ipset, clock } = createKernel();
    assert.deepEqual(await entries(), []);
    ipset.edit("add cld4-grace 192.0.2.1");
    clock.advance(2400);
    assert.deepEqual(await entries(), []);
    clock.advance(200);
    assert.deepEqual(await entries(), ["192.0.2.1"]);
  });

  for (const family of [4, 6] as const) {
    test(`are read again when a packet of IPv${family} went over a limit`, async () => {
      const { entries, ipset, lists, kernelLists } = createKernel();
      await entries();
      const before = kernelLists.activityMark();
      ipset.edit("add cld4-grace 192.0.2.1");
      lists.stamp(activityName(family), "203.0.113.9");
      assert.notEqual(kernelLists.activityMark(), before);
      assert.deepEqual(await entries(), ["192.0.2.1"]);
      await entries();
      assert.equal(ipset.started("save"), 2);
    });
  }

  test("are read again after a write of ours", async () => {
    const { entries, ipset, kernelLists } = createKernel();
    await entries();
    ipset.edit("add cld4-grace 192.0.2.1");
    kernelLists.changed();
    assert.deepEqual(await entries(), ["192.0.2.1"]);
  });

  test("as they were before a write of ours are not kept, although their reading ended after it", async () => {
    const { entries, ipset, kernelLists } = createKernel();
    ipset.edit("add cld4-grace 192.0.2.1");
    const end = ipset.holdSaves();
    const under = entries();
    await new Promise((resolve) => setImmediate(resolve));
    ipset.edit("del cld4-grace 192.0.2.1");
    kernelLists.changed();
    end();
    await under;
    assert.deepEqual(await entries(), []);
  });

  test("that can't be read now delay enforcement, and are read the next time", async () => {
    const { entries, ipset } = createKernel();
    ipset.setFault("save fails");
    await assert.rejects(entries(), EnforcementDelayed);
    ipset.setFault(null);
    assert.deepEqual(await entries(), []);
  });
});

describe("where ipset is not there", () => {
  test("there are no sets, the reason is found out once, and no program is started any more", async () => {
    const { kernelLists, ipset } = createKernel();
    assert.equal(kernelLists.withoutSets(), null);
    ipset.setFault("program missing");
    for (let ask = 0; ask < 3; ask += 1) assert.equal((await kernelLists.read(true)).sets, null);
    assert.match(kernelLists.withoutSets() ?? "", /the program ipset is missing/);
    assert.equal(ipset.started(), 2);
  });

  test("the reading is of now", async () => {
    const { kernelLists, ipset, clock } = createKernel();
    ipset.setFault("no kernel module");
    const { before, after, now } = await kernelLists.read(false);
    assert.deepEqual([before, after, now], [clock.now(), clock.now(), clock.now()]);
  });
});

describe("a reading", () => {
  test("tells when the sets were read, and for which moment it was asked", async () => {
    const { kernelLists, clock } = createKernel();
    const start = clock.now();
    await kernelLists.read(false);
    clock.advance(700);
    const { before, after, now } = await kernelLists.read(false);
    assert.deepEqual([before, after, now], [start, start, start + 700]);
  });

  test("moves with a wall clock that somebody sets, what was read earlier too", async () => {
    const { kernelLists, clock, setWallClock } = createKernel();
    const first = await kernelLists.read(false);
    setWallClock(-3_600_000);
    clock.advance(500);
    const second = await kernelLists.read(false);
    assert.equal(second.clockOffset, first.clockOffset - 3_600_000);
    assert.deepEqual([second.before, second.now], [first.before - 3_600_000, clock.now()]);
  });

  test("knows of no list before the kernel's clock is known: what their stamps mean can't be told", async () => {
    const { kernelLists } = createKernel();
    assert.deepEqual((await kernelLists.read(false)).lists.names(), []);
    assert.throws(() => kernelLists.wallTimeOf(1), EnforcementDelayed);
    assert.equal(await kernelLists.calibrate(), true);
    assert.deepEqual((await kernelLists.read(false)).lists.names(), standing);
  });

  test("turns stamps into wall-clock times", async () => {
    const { kernelLists, lists, clock } = createKernel();
    await kernelLists.calibrate();
    clock.advance(5000);
    lists.stamp("cld4-x", "203.0.113.9");
    const [entry] = lists.read("cld4-x") ?? [];
    const { wallTimeOf } = await kernelLists.read(false);
    assert.ok(Math.abs(wallTimeOf(entry?.lastSeen ?? 0) - clock.now()) <= 10);
    assert.equal(kernelLists.wallTimeOf(entry?.lastSeen ?? 0), wallTimeOf(entry?.lastSeen ?? 0));
  });
});

describe("the kernel's clock", () => {
  test("is measured once", async () => {
    const { kernelLists, lists } = createKernel();
    await kernelLists.calibrate();
    const writes = lists.writes.length;
    assert.equal(await kernelLists.calibrate(), true);
    assert.equal(lists.writes.length, writes);
  });

  test("can't be measured without the canary, and can when it comes", async () => {
    const { kernelLists, lists } = createKernel();
    lists.keepOnly([]);
    assert.equal(await kernelLists.calibrate(), false);
    lists.keepOnly(standing);
    assert.equal(await kernelLists.calibrate(), true);
  });
});

test("a flush is noticed by the absence of either family's canary, without a program", () => {
  const { kernelLists, lists, ipset } = createKernel();
  assert.equal(kernelLists.flushed(), false);
  for (const gone of [canaryName(4), canaryName(6)]) {
    lists.keepOnly(standing.filter((name) => name !== gone));
    assert.equal(kernelLists.flushed(), true);
  }
  assert.equal(ipset.started(), 0);
});
