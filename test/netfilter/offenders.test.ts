import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { memoryOf } from "../../src/netfilter/iptables/ruleset.ts";
import { createOffenderReader } from "../../src/netfilter/offenders.ts";
import { samplePolicy } from "../support/samples.ts";
import { createReadings } from "./bans/readings.ts";
import { classicBan } from "./some-policies.ts";

const address = "203.0.113.9";
const mysql = samplePolicy({ ban: classicBan });
const observer = samplePolicy({ name: "observer", ports: [80], mode: "observe" });
const renewing = samplePolicy({ ban: { ...classicBan, renewOnAttempt: true } });
const policies = [mysql, observer];

type Scene = ReturnType<typeof createReadings>;

async function offenders(scene: Scene, policy = mysql) {
  const { bans } = await scene.observe();
  const viewed = bans.map((ban) => ({ ...ban, enforced: ban.present }));
  return createOffenderReader().read(scene.reading(), policy.name, viewed, memoryOf(policy));
}

for (const withSets of [false, true]) {
  describe(`with ipset ${withSets ? "there" : "missing"}, offenders`, () => {
    test("are listed newest first, with the end of their ban", async () => {
      const scene = createReadings({ policies, withSets });
      scene.offend(mysql, "192.0.2.1");
      scene.clock.advance(10_000);
      scene.offend(mysql, "192.0.2.2");
      const now = scene.clock.now();
      const listed = await offenders(scene);
      assert.deepEqual(
        listed.map(({ source, lastSeenAt }) => [source, lastSeenAt]),
        [
          ["192.0.2.2", now],
          ["192.0.2.1", now - 10_000],
        ],
      );
      for (const [index, end] of [now + 60_000, now + 50_000].entries()) {
        assert.ok(Math.abs((listed[index]?.bannedUntil ?? 0) - end) <= 20);
      }
    });

    test("of the same moment are in the order of their addresses", async () => {
      const scene = createReadings({ policies, withSets });
      for (const source of ["192.0.2.2", "192.0.2.1"]) scene.offend(mysql, source);
      assert.deepEqual(
        (await offenders(scene)).map((one) => one.source),
        ["192.0.2.1", "192.0.2.2"],
      );
    });

    test("stay listed when their ban is over", async () => {
      const scene = createReadings({ policies, withSets });
      scene.offend(mysql, address);
      const seen = scene.clock.now();
      scene.clock.advance(60_050);
      assert.deepEqual(await offenders(scene), [{ source: address, firstSeenAt: seen, lastSeenAt: seen, bannedUntil: null }]);
    });

    test("of both families are in one list, IPv6 by network", async () => {
      const scene = createReadings({ policies, withSets });
      scene.offend(observer, address);
      scene.offend(observer, "2001:db8:1:2::", { family: 6 });
      assert.deepEqual((await offenders(scene, observer)).map((one) => one.source).sort(), ["2001:db8:1:2::/64", address]);
    });

    test("are those of the named policy only, and not banned by another's ban", async () => {
      const scene = createReadings({ policies, withSets });
      scene.offend(observer, address);
      scene.clock.advance(400);
      scene.offend(mysql, address);
      assert.equal((await offenders(scene, observer))[0]?.bannedUntil, null);
      assert.deepEqual(await offenders(scene, samplePolicy({ name: "nobody" })), []);
    });
  });
}

test("in a list, offenders were last seen when they renewed their ban", async () => {
  const scene = createReadings({ policies: [renewing], withSets: false });
  scene.offend(renewing, address);
  scene.clock.advance(30_000);
  scene.attempt(renewing, address);
  assert.equal((await offenders(scene, renewing))[0]?.lastSeenAt, scene.clock.now());
});

describe("offenders that a list has no room for", () => {
  test("are all in the set, their time right to a second", async () => {
    const scene = createReadings({ policies });
    for (let host = 0; host < 250; host += 1) scene.offend(observer, `198.18.0.${host}`);
    const seen = scene.clock.now();
    scene.clock.advance(12_345);
    const listed = await offenders(scene, observer);
    assert.equal(listed.length, 250);
    for (const { lastSeenAt } of listed) assert.ok(Math.abs(lastSeenAt - seen) <= 1000);
  });

  test("were never seen later than now", async () => {
    const scene = createReadings({ policies: [mysql] });
    scene.offend(mysql, address);
    scene.lists.drop("cld4-who-32-mysql", address);
    scene.ipset.edit(`add cld4-w32-mysql ${address} timeout 90`);
    const [offender] = await offenders(scene);
    assert.ok((offender?.lastSeenAt ?? Number.POSITIVE_INFINITY) <= scene.clock.now());
  });
});

test("a ban of several homes is one offender, banned until the last of them ends", async () => {
  const scene = createReadings({ policies: [mysql], withSets: false, more: ["cld4-host-held-32-reset-once-all"] });
  scene.offend(mysql, address);
  const end = scene.clock.now() + 90_000;
  scene.ledger.recall([{ home: "cld4-host-held-32-reset-once-all", address, policies: ["mysql"], since: 0, expiresAt: end }]);
  assert.deepEqual(
    (await offenders(scene)).map((one) => [one.source, one.bannedUntil]),
    [[address, end]],
  );
});
