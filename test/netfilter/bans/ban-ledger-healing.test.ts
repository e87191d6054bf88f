import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { samplePolicy } from "../../support/samples.ts";
import { banHomeFor } from "../host.ts";
import { classicBan } from "../some-policies.ts";
import { createReadings } from "./readings.ts";

const address = "203.0.113.9";
const mysql = samplePolicy({ ban: classicBan });
const heldList = "cld4-host-held-32-reset-once-all";
const set = banHomeFor(mysql);

describe("the end of a ban in a set, which the kernel rounds to seconds,", () => {
  /** A ban whose offender nobody wrote down, first read `after` milliseconds after it began. */
  async function untraced(after: number) {
    const scene = createReadings({ policies: [mysql] });
    await scene.observe();
    scene.clock.advance(10_000);
    const end = scene.clock.now() + 60_000;
    scene.offend(mysql, address);
    scene.forgetTrace(mysql, address);
    scene.clock.advance(after);
    return { scene, end };
  }

  test("is known as well as the time between two readings tells when the ban began", async () => {
    const { scene, end } = await untraced(120);
    const { bans, imprecise } = await scene.observe();
    assert.ok(Math.abs((bans[0]?.expiresAt ?? 0) - end) <= 500);
    assert.equal(imprecise, true);
  });

  test("is right to 0.2 s after a few readings, and then needs no more of them", async () => {
    for (const phase of [0, 120, 333, 500, 777, 999]) {
      const { scene, end } = await untraced(phase);
      let state = await scene.observe();
      let readings = 1;
      for (; state.imprecise && readings < 12; readings += 1) {
        scene.clock.advance(270);
        state = await scene.observe();
      }
      assert.equal(state.imprecise, false, `after ${readings} readings`);
      assert.ok(Math.abs((state.bans[0]?.expiresAt ?? 0) - end) <= 200, `phase ${phase}`);
    }
  });

  test("moves its beginning along as it becomes known", async () => {
    const { scene } = await untraced(400);
    for (let look = 0; look < 6; look += 1) {
      const [ban] = (await scene.observe()).bans;
      assert.equal((ban?.expiresAt ?? 0) - (ban?.since ?? 0), 60_000);
      scene.clock.advance(270);
    }
  });

  test("is exact at once where a list of offenders has the stamp of the packet", async () => {
    const scene = createReadings({ policies: [mysql] });
    scene.offend(mysql, address);
    const end = scene.clock.now() + 60_000;
    scene.clock.advance(1234);
    const { bans, imprecise } = await scene.observe();
    assert.deepEqual([bans[0]?.expiresAt, imprecise], [end, false]);
  });

  test("is not taken from the stamp of another offence", async () => {
    const scene = createReadings({ policies: [mysql] });
    scene.offend(mysql, address);
    scene.ipset.edit(`add ${set} ${address} timeout 30`);
    const [ban] = (await scene.observe()).bans;
    assert.ok(Math.abs((ban?.expiresAt ?? 0) - scene.clock.now() - 30_000) <= 1000);
  });

  test("is read from an earlier reading as well as from a new one", async () => {
    const scene = createReadings({ policies: [mysql] });
    scene.offend(mysql, address);
    const end = scene.clock.now() + 60_000;
    await scene.observe();
    scene.clock.advance(2400);
    const { bans } = scene.observeAgain();
    assert.deepEqual([bans[0]?.present, bans[0]?.expiresAt], [true, end]);
  });

  test("is over although an earlier reading still shows the ban", async () => {
    const scene = createReadings({ policies: [mysql] });
    scene.offend(mysql, address);
    scene.clock.advance(58_000);
    await scene.observe();
    scene.clock.advance(2400);
    assert.deepEqual(scene.observeAgain().bans, []);
  });
});

describe("a ban that began under a policy's earlier terms", () => {
  test("is not made longer by an edit that comes before it is read", async () => {
    const scene = createReadings({ policies: [mysql] });
    await scene.observe();
    scene.clock.advance(100);
    scene.offend(mysql, address);
    const end = scene.clock.now() + 60_000;
    const [ban] = (await scene.observe([{ ...mysql, ban: { ...classicBan, seconds: 600 } }])).bans;
    assert.ok((ban?.expiresAt ?? 0) <= end + 1000, `${(ban?.expiresAt ?? 0) - end} ms longer`);
  });

  test("is not made longer by another policy of the same set whose bans last longer", async () => {
    const web = samplePolicy({ name: "web", ports: [80], ban: { ...classicBan, seconds: 600 } });
    const scene = createReadings({ policies: [mysql, web] });
    await scene.observe();
    scene.clock.advance(100);
    scene.offend(mysql, address);
    scene.forgetTrace(mysql, address);
    const end = scene.clock.now() + 60_000;
    const [ban] = (await scene.observe()).bans;
    assert.ok((ban?.expiresAt ?? 0) <= end + 1000);
    assert.deepEqual(ban?.policies, ["mysql", "web"]);
  });

  test("keeps its causes when the policy's terms change", async () => {
    const scene = createReadings({ policies: [mysql] });
    scene.offend(mysql, address);
    await scene.observe();
    const before = scene.ledger.bans();
    scene.clock.advance(1000);
    await scene.observe([{ ...mysql, rejectWith: "drop" }]);
    assert.deepEqual(scene.ledger.bans(), before);
  });
});

describe("a ban in a set that somebody shortened", () => {
  test("counts as it was, and as lost, so that it is put back", async () => {
    const scene = createReadings({ policies: [mysql] });
    scene.offend(mysql, address);
    await scene.observe();
    const [before] = scene.ledger.bans();
    scene.ipset.edit(`add ${set} ${address} timeout 5`);
    scene.clock.advance(100);
    const { bans, strays } = await scene.observe();
    assert.deepEqual([bans[0]?.present, bans[0]?.expiresAt, strays], [false, before?.expiresAt, []]);
  });

  test("is present again once its time is put right", async () => {
    const scene = createReadings({ policies: [mysql] });
    scene.offend(mysql, address);
    await scene.observe();
    const [before] = scene.ledger.bans();
    scene.ipset.edit(`add ${set} ${address} timeout 5`);
    await scene.observe();
    scene.ipset.edit(`add ${set} ${address} timeout 59`);
    const { bans } = await scene.observe();
    assert.deepEqual([bans[0]?.present, bans[0]?.expiresAt], [true, before?.expiresAt]);
  });

  test("to no end at all is put right as well", async () => {
    const scene = createReadings({ policies: [mysql] });
    scene.offend(mysql, address);
    await scene.observe();
    const [before] = scene.ledger.bans();
    scene.ipset.edit(`add ${set} ${address} timeout 0`);
    const { bans } = await scene.observe();
    assert.deepEqual([bans[0]?.present, bans[0]?.expiresAt], [false, before?.expiresAt]);
  });
});

describe("in a list whose entries the service ends, an entry", () => {
  const held = () => createReadings({ policies: [mysql], withSets: false, more: [heldList] });

  test("that the service put there is the ban that was lost, with its cause and end", async () => {
    const scene = held();
    scene.offend(mysql, address);
    const [ban] = (await scene.observe()).bans;
    assert.ok(ban);
    scene.lists.drop(ban.home, address);
    scene.ledger.moved(ban, heldList);
    scene.lists.stamp(heldList, address);
    scene.clock.advance(5000);
    const { bans, strays } = await scene.observe();
    assert.deepEqual(
      bans.map(({ home, present, since, expiresAt, policies }) => [home, present, since, expiresAt, policies]),
      [[heldList, true, ban.since, ban.expiresAt, ["mysql"]]],
    );
    assert.deepEqual(strays, []);
  });

  test("that nobody knows is a stray", async () => {
    const scene = held();
    scene.lists.stamp(heldList, "192.0.2.1");
    const { bans, strays } = await scene.observe();
    assert.deepEqual([bans, strays.map((entry) => [entry.name, entry.address])], [[], [[heldList, "192.0.2.1"]]]);
  });

  test("is a stray as soon as its time is over", async () => {
    const scene = held();
    const expiresAt = scene.clock.now() + 10_000;
    scene.ledger.recall([{ home: heldList, address, policies: ["mysql"], since: 0, expiresAt }]);
    scene.lists.stamp(heldList, address);
    scene.clock.advance(9_999);
    assert.deepEqual((await scene.observe()).strays, []);
    scene.clock.advance(1);
    assert.equal((await scene.observe()).strays.length, 1);
  });
});

test("what packets of another kind wrote is no ban: neither offenders nor operators' bans are", async () => {
  const scene = createReadings({ policies: [samplePolicy()], withSets: false, more: ["cld4-operator", "f2b-sshd"] });
  scene.offend(samplePolicy(), address);
  for (const list of ["cld4-operator", "f2b-sshd"]) scene.lists.stamp(list, address);
  const { bans, strays } = await scene.observe();
  assert.deepEqual([bans, strays], [[], []]);
});
