import assert from "node:assert/strict";
import { describe, mock, test } from "node:test";
import { parseNetwork } from "../../../src/domain/network.ts";
import type { Policy } from "../../../src/domain/policy.ts";
import { createBanKeeper } from "../../../src/netfilter/bans/ban-keeper.ts";
import { createIpSets } from "../../../src/netfilter/ipset/sets.ts";
import { createKernelLists } from "../../../src/netfilter/kernel-lists.ts";
import { sampleOperatorBan, samplePolicy } from "../../support/samples.ts";
import { createTestClock } from "../../support/test-clock.ts";
import { banHomeFor, desire } from "../host.ts";
import { classicBan } from "../some-policies.ts";
import { createReadings } from "./readings.ts";

const address = "203.0.113.9";
const mysql = samplePolicy({ ban: classicBan });
const web = samplePolicy({ name: "web", ports: [80], ban: classicBan });
const fixed = ["cld4-canary", "cld6-canary", "cld4-activity", "cld6-activity", "cld4-operator", "cld6-operator"];

/** A keeper over the lists and sets of the policies. */
async function createKept({
  policies = [mysql, web],
  withSets = true,
}: {
  policies?: readonly Policy[];
  withSets?: boolean;
} = {}) {
  const heldList = "cld4-host-held-32-reset-once-all";
  const scene = createReadings({ policies, withSets, more: [...fixed, heldList] });
  if (!withSets) scene.ipset.setFault("program missing");
  const testClock = createTestClock();
  const clock = {
    ...testClock,
    now: scene.clock.now,
    monotonic: () => scene.clock.now() - testClock.now(),
    after: (delay: number, callback: () => void) => {
      queueMicrotask(() => {
        scene.clock.advance(delay);
        callback();
      });
      return () => undefined;
    },
  };
  const sets = createIpSets({ run: scene.ipset.run });
  const kernelLists = createKernelLists({ lists: scene.lists, sets, clock });
  await kernelLists.calibrate();
  const protectedNetworks = [parseNetwork("192.0.2.0/24")];
  const keeper = createBanKeeper({ lists: scene.lists, sets, kernelLists, protectedNetworks });
  await keeper.settle(desire(policies), true);
  return {
    ...scene,
    keeper,
    heldList,
    offend: (policy: Policy, source: string) => {
      scene.offend(policy, source);
      scene.lists.stamp("cld4-activity", source);
    },
    running: async () => (await keeper.look()).running.map((ban) => ban.address),
    holds: (policy: Policy, source: string) => {
      const home = banHomeFor(policy, 4, withSets);
      return withSets
        ? scene.ipset.holds(home, source)
        : (scene.lists.read(home) ?? []).some((entry) => entry.address === source);
    },
  };
}

for (const withSets of [true, false]) {
  const where = withSets ? "in sets" : "in lists";
  describe(`${where}, a pass`, () => {
    test("ends the bans that were lifted, in home and traces, and no others", async () => {
      const kept = await createKept({ withSets });
      kept.offend(mysql, address);
      kept.offend(mysql, "198.51.100.1");
      const { running, removals } = await kept.keeper.settle(desire([mysql, web], [], [address, "198.51.100.77"]), false);
      assert.deepEqual(
        running.map((ban) => ban.address),
        ["198.51.100.1"],
      );
      assert.deepEqual([kept.holds(mysql, address), kept.holds(mysql, "198.51.100.1")], [false, true]);
      assert.deepEqual(
        kept.lists.read("cld4-who-32-mysql")?.map((entry) => entry.address),
        ["198.51.100.1"],
      );
      assert.equal(removals.ipset.length + removals.recent.length, withSets ? 3 : 2);
    });

    test("finds the traces of many that were lifted among those of many policies, and leaves those of others", async () => {
      const policies = Array.from({ length: 40 }, (_, n) => samplePolicy({ name: `p${n}`, ports: [n + 1], ban: classicBan }));
      const kept = await createKept({ policies, withSets });
      const sources = Array.from({ length: 12 }, (_, n) => `198.51.100.${n}`);
      for (const [n, policy] of policies.entries()) for (const source of sources.slice(0, n % 12)) kept.offend(policy, source);
      const lifted = sources.filter((_, n) => n % 2 === 0);
      const notThere = Array.from({ length: 2_000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`);
      await kept.keeper.settle(desire(policies, [], [...lifted, ...notThere, "2001:db8::1", "198.51.100.0/24"]), false);
      for (const [n, policy] of policies.entries()) {
        const expected = sources.slice(0, n % 12).filter((source) => !lifted.includes(source));
        const list = kept.lists.read(`cld4-who-32-${policy.name}`)?.map((entry) => entry.address);
        assert.deepEqual(list?.toSorted(), expected.toSorted());
        if (withSets)
          assert.deepEqual(
            sources.filter((source) => kept.ipset.holds(`cld4-w32-${policy.name}`, source)),
            expected,
          );
      }
    });

    test("reads no list of offenders for those who were not active, unless the list of activity may have forgotten them", async () => {
      const kept = await createKept({ withSets });
      const traces = () => kept.lists.read("cld4-who-32-mysql")?.map((entry) => entry.address);
      const lift = async (): Promise<boolean> => {
        const { read } = kept.lists;
        let asked = false;
        mock.method(kept.lists, "read", (name: string) => {
          asked ||= name.startsWith("cld4-who-");
          return read(name);
        });
        await kept.keeper.settle(desire([mysql, web], [], [address]), false);
        mock.restoreAll();
        return asked;
      };
      assert.equal(await lift(), false);
      kept.lists.stamp("cld4-activity", "203.0.113.77");
      assert.equal(await lift(), false);
      kept.lists.stamp("cld4-who-32-mysql", address);
      for (let n = 0; n < 100; n += 1) kept.lists.stamp("cld4-activity", `198.51.100.${n}`);
      assert.equal(await lift(), true);
      assert.deepEqual(traces(), []);
    });

    test("finds the traces of a network by the address that was active", async () => {
      const wide = samplePolicy({ name: "wide", countPer: { ipv4Prefix: 24, ipv6Prefix: 64 } });
      const kept = await createKept({ policies: [wide], withSets });
      kept.lists.stamp("cld4-who-24-wide", "198.51.100.0");
      kept.lists.stamp("cld4-activity", "198.51.100.7");
      await kept.keeper.settle(desire([wide], [], ["198.51.100.0/24"]), false);
      assert.deepEqual(kept.lists.read("cld4-who-24-wide"), []);
    });

    test("ends the bans that no policy stands for", async () => {
      for (const policies of [[web], [{ ...mysql, exempt: [address] }, web], [{ ...mysql, ban: null }, web]]) {
        const kept = await createKept({ withSets });
        kept.offend(mysql, address);
        await kept.running();
        await kept.keeper.settle(desire(policies), false);
        assert.deepEqual([await kept.running(), kept.holds(mysql, address)], [[], false]);
      }
    });

    test("ends the bans of those who are protected", async () => {
      const kept = await createKept({ withSets });
      kept.offend(mysql, "192.0.2.5");
      assert.equal(kept.keeper.isProtected("192.0.2.5"), true);
      await kept.keeper.settle(desire([mysql, web]), false);
      assert.equal(kept.holds(mysql, "192.0.2.5"), false);
    });

    test("takes out what nobody knows in a list whose entries the service ends", async () => {
      const kept = await createKept({ withSets });
      kept.lists.stamp(kept.heldList, "198.51.100.1");
      await kept.keeper.settle(desire([mysql, web]), false);
      assert.deepEqual(kept.lists.read(kept.heldList), []);
    });

    test("writes nothing where nothing ended", async () => {
      const kept = await createKept({ withSets });
      kept.offend(mysql, address);
      const before = [kept.ipset.restores.length, kept.lists.writes.length];
      await kept.keeper.settle(desire([mysql, web]), true);
      assert.deepEqual([kept.ipset.restores.length, kept.lists.writes.length], before);
    });
  });

  describe(`${where}, a look`, () => {
    test("removes nothing, and tells what a pass for other policies would remove", async () => {
      const kept = await createKept({ withSets });
      kept.offend(mysql, address);
      const { running, removals } = await kept.keeper.look(desire([web]));
      assert.deepEqual([running, removals.ended.size], [[], 1]);
      assert.equal(removals.ipset.length + removals.recent.length, 1);
      assert.deepEqual([kept.holds(mysql, address), await kept.running()], [true, [address]]);
    });

    test("at what policies could be changes nothing about what is known", async () => {
      const kept = await createKept({ withSets });
      await kept.running();
      kept.clock.advance(100);
      kept.offend(mysql, address);
      await kept.keeper.look(
        desire([
          { ...mysql, ban: { ...classicBan, seconds: 600 } },
          { ...web, name: "another" },
        ]),
      );
      const [ban] = kept.keeper.ledger.bans();
      assert.deepEqual(ban?.policies, ["mysql"]);
      assert.ok((ban?.expiresAt ?? 0) - kept.clock.now() <= 60_020);
    });

    test("that comes while a ban is being lifted can't bring it back", async () => {
      const kept = await createKept({ withSets });
      kept.offend(mysql, address);
      await kept.running();
      kept.clock.advance(3000);
      const end = kept.ipset.holdSaves();
      const looks = [kept.running()];
      const lifted = kept.keeper.settle(desire([mysql, web], [], [address]), false);
      looks.push(kept.running());
      end();
      const [, after] = await Promise.all(looks);
      await lifted;
      assert.deepEqual([after, await kept.running(), kept.keeper.ledger.bans()], [[], [], []]);
    });
  });
}

describe("activity", () => {
  test("is there from the moment in which a packet goes over a limit until a pass has looked", async () => {
    const kept = await createKept();
    assert.equal(kept.keeper.activity(), false);
    kept.offend(mysql, address);
    assert.equal(kept.keeper.activity(), true);
    await kept.keeper.look();
    assert.equal(kept.keeper.activity(), true);
    await kept.keeper.settle(desire([mysql, web]), false);
    assert.equal(kept.keeper.activity(), false);
  });
});

test("a keeper knows the policies of the last pass", async () => {
  const kept = await createKept();
  const desired = desire([web], [sampleOperatorBan()]);
  await kept.keeper.settle(desired, false);
  assert.equal(kept.keeper.policies(), desired.policies);
});
