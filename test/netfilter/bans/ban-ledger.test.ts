import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { KernelBan } from "../../../src/domain/ban.ts";
import { standingCauses } from "../../../src/netfilter/bans/ban-ledger.ts";
import { samplePolicy } from "../../support/samples.ts";
import { banHomeFor } from "../host.ts";
import { classicBan } from "../some-policies.ts";
import { createReadings } from "./readings.ts";

const address = "203.0.113.9";
const mysql = samplePolicy({ ban: classicBan });
const renewing = samplePolicy({ ban: { ...classicBan, renewOnAttempt: true } });

/** The kernel tells times to a tick; a ban is not said to be over before the kernel ends it. */
function assertNear(actual: number | undefined, expected: number, within = 20): void {
  assert.ok(actual !== undefined && Math.abs(actual - expected) <= within, `off by ${(actual ?? Number.NaN) - expected} ms`);
}

function kernelBan(different: Partial<KernelBan> = {}): KernelBan {
  return { home: banHomeFor(mysql), address, policies: ["mysql"], since: 0, expiresAt: 60_000, ...different };
}

for (const withSets of [false, true]) {
  describe(`in ${withSets ? "a set" : "a list"}, a ban`, () => {
    test("that is new is written down with its cause, beginning and end, to a tick", async () => {
      const scene = createReadings({ policies: [mysql], withSets });
      scene.clock.advance(5432);
      const since = scene.clock.now();
      scene.offend(mysql, address);
      scene.clock.advance(150);
      const { bans, strays, imprecise } = await scene.observe();
      assert.deepEqual([strays, imprecise], [[], false]);
      const home = banHomeFor(mysql, 4, withSets);
      const [ban] = bans;
      assertNear(ban?.expiresAt, since + 60_000);
      assert.deepEqual(ban, {
        ...{ home, address, policies: ["mysql"], since, present: true, lastSeenAt: since },
        expiresAt: ban?.expiresAt,
      });
    });

    test("that is known stays what it was, however often it is read", async () => {
      const scene = createReadings({ policies: [mysql], withSets });
      scene.offend(mysql, address);
      await scene.observe();
      const before = scene.ledger.bans();
      for (const pause of [1, 333, 1000, 7777]) {
        scene.clock.advance(pause);
        const { bans } = await scene.observe();
        assert.deepEqual(scene.ledger.bans(), before);
        assert.equal(bans[0]?.present, true);
      }
    });

    test("is known to its end and no longer", async () => {
      const scene = createReadings({ policies: [mysql], withSets });
      scene.offend(mysql, address);
      await scene.observe();
      scene.clock.advance(59_999);
      assert.equal((await scene.observe()).bans.length, 1);
      scene.clock.advance(20);
      assert.equal((await scene.observe()).bans.length, 0);
      assert.deepEqual(scene.ledger.bans(), []);
    });

    test("is about the network where the policy counts by one", async () => {
      const scene = createReadings({ policies: [mysql], withSets });
      scene.offend(mysql, "2001:db8:1:2::", { family: 6 });
      assert.deepEqual(
        (await scene.observe()).bans.map((ban) => ban.address),
        ["2001:db8:1:2::/64"],
      );
    });

    test("that the kernel lost is told apart from one that it holds, until its end", async () => {
      const scene = createReadings({ policies: [mysql], withSets });
      scene.offend(mysql, address);
      scene.offend(mysql, "192.0.2.1");
      await scene.observe();
      if (withSets) scene.ipset.edit(`del ${banHomeFor(mysql)} ${address}`);
      else scene.lists.drop(banHomeFor(mysql, 4, false), address);
      const presence = async () => Object.fromEntries((await scene.observe()).bans.map((ban) => [ban.address, ban.present]));
      assert.deepEqual(await presence(), { [address]: false, "192.0.2.1": true });
      scene.clock.advance(60_020);
      assert.deepEqual(await presence(), {});
    });

    test("that is recalled from an earlier process is the kernel's own where the kernel holds it, and lost where it does not", async () => {
      const scene = createReadings({ policies: [mysql], withSets });
      const home = banHomeFor(mysql, 4, withSets);
      scene.offend(mysql, address);
      const expiresAt = scene.clock.now() + 60_000;
      scene.ledger.recall([
        kernelBan({ home, since: expiresAt - 60_000, expiresAt }),
        kernelBan({ home, address: "192.0.2.1", expiresAt }),
      ]);
      const { bans } = await scene.observe();
      assert.deepEqual(
        bans.map((ban) => [ban.address, ban.present, ban.expiresAt]),
        [
          [address, true, expiresAt],
          ["192.0.2.1", false, expiresAt],
        ],
      );
    });

    test("that ended and began anew is another ban", async () => {
      const scene = createReadings({ policies: [mysql], withSets });
      scene.offend(mysql, address);
      await scene.observe();
      scene.clock.advance(75_000);
      await scene.observe();
      scene.offend(mysql, address);
      const since = scene.clock.now();
      const [ban, ...others] = (await scene.observe()).bans;
      assert.deepEqual([ban?.since, others], [since, []]);
      assertNear(ban?.expiresAt, since + 60_000);
    });

    test("that is renewed goes on from the last attempt, and began with the offence", async () => {
      const scene = createReadings({ policies: [renewing], withSets });
      const since = scene.clock.now();
      scene.offend(renewing, address);
      await scene.observe();
      scene.clock.advance(50_000);
      await scene.observe();
      scene.clock.advance(100);
      scene.attempt(renewing, address);
      scene.clock.advance(60);
      const [ban] = (await scene.observe()).bans;
      assert.deepEqual([ban?.policies, ban?.since], [["mysql"], since]);
      assertNear(ban?.expiresAt, since + 110_100, 100);
    });

    test("that was renewed a second after it began ends when the kernel ends it, to 0.2 s", async () => {
      const scene = createReadings({ policies: [renewing], withSets });
      const since = scene.clock.now();
      scene.offend(renewing, address);
      await scene.observe();
      scene.clock.advance(900);
      await scene.observe();
      scene.clock.advance(100);
      scene.attempt(renewing, address);
      for (let look = 0; look < 12; look += 1) {
        await scene.observe();
        scene.clock.advance(330);
      }
      const [ban] = (await scene.observe()).bans;
      assertNear(ban?.expiresAt, since + 61_000, 200);
    });

    test("that is renewed after its trace was pushed out is not blamed on a policy that saw its source before", async () => {
      const observer = samplePolicy({ name: "aaa", ports: [80], mode: "observe" });
      const scene = createReadings({ policies: [observer, renewing], withSets });
      scene.offend(observer, address);
      scene.clock.advance(10_000);
      scene.offend(renewing, address);
      await scene.observe();
      scene.forgetTrace(renewing, address);
      scene.clock.advance(30_000);
      scene.attempt(renewing, address);
      assert.deepEqual(
        (await scene.observe()).bans.map((ban) => ban.policies),
        [["mysql"]],
      );
    });

    for (const by of [3_600_000, -3_600_000]) {
      test(`keeps the time that it has left when the wall clock is set by ${by} ms`, async () => {
        const scene = createReadings({ policies: [mysql], withSets });
        scene.offend(mysql, address);
        scene.clock.advance(10_000);
        await scene.observe();
        scene.setWallClock(by);
        const [ban] = (await scene.observe()).bans;
        assert.deepEqual([ban?.present, (ban?.since ?? 0) - scene.clock.now()], [true, -10_000]);
        assertNear(ban?.expiresAt, scene.clock.now() + 50_000);
      });
    }
  });
}

describe("a ban that was lifted", () => {
  test("is forgotten, and is a new one should the kernel still hold it", async () => {
    const scene = createReadings({ policies: [mysql], withSets: false });
    scene.offend(mysql, address);
    const [ban] = (await scene.observe()).bans;
    assert.ok(ban);
    scene.ledger.forget(ban);
    assert.deepEqual(scene.ledger.bans(), []);
    assert.equal((await scene.observe()).bans.length, 1);
  });
});

describe("the causes that stand", () => {
  const off = samplePolicy({ name: "off", ban: classicBan, mode: "off" });
  const observer = samplePolicy({ name: "observer", ban: classicBan, mode: "observe" });
  const mild = samplePolicy({ name: "mild" });
  const exempting = samplePolicy({ name: "exempting", ban: classicBan, exempt: ["203.0.113.0/24"] });

  test("are policies that enforce a ban and don't exempt the source", () => {
    const policies = [mysql, off, observer, mild, exempting];
    const ban = kernelBan({ policies: [...policies.map((policy) => policy.name), "deleted"] });
    assert.deepEqual(standingCauses(ban, policies), ["mysql"]);
  });

  test("stay where only a part of the banned network is exempt", () => {
    assert.deepEqual(standingCauses(kernelBan({ address: "203.0.112.0/23", policies: ["exempting"] }), [exempting]), [
      "exempting",
    ]);
  });
});
