import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sampleOperatorBan, samplePolicy } from "../support/samples.ts";
import { banHomeFor, createHost, desire } from "./host.ts";
import { classicBan } from "./some-policies.ts";

const address = "203.0.113.9";
const mysql = samplePolicy({ ban: classicBan });
const desired = desire([mysql]);
const heldList = "cld4-host-held-32-reset-once-all";

type Host = ReturnType<typeof createHost>;

/** When each ban ends, relative to now. */
async function left(host: Host, firewall = host.firewall) {
  const { policyBans } = await firewall.view();
  return Object.fromEntries(policyBans.map((ban) => [ban.address, ban.enforced ? ban.expiresAt - host.clock.now() : undefined]));
}

function assertNear(actual: number | undefined, expected: number, within: number): void {
  assert.ok(actual !== undefined && Math.abs(actual - expected) <= within, `${actual} instead of ${expected}`);
}

for (const withSets of [true, false]) {
  const where = withSets ? "with ipset" : "without ipset";

  const withBan = async () => {
    const host = createHost({ withSets });
    await host.firewall.converge(desired);
    host.offend(mysql, address);
    host.clock.advance(10_000);
    await host.firewall.convergeBans(desired, false);
    return host;
  };

  test(`${where}, a ban that the kernel makes under a policy's earlier terms, while others can't be written, goes on`, async () => {
    const host = createHost({ withSets });
    const scoped = { ...mysql, ban: { ...classicBan, scope: "ports" as const } };
    await host.firewall.converge(desire([scoped]));
    const edited = desire([{ ...mysql, revision: 2 }]);
    host.kernel.setFault("lock held");
    await assert.rejects(host.firewall.converge(edited));
    host.offend(scoped, address);
    await assert.rejects(host.firewall.converge(edited));
    host.kernel.setFault(null);
    await host.firewall.converge(edited);
    assertNear((await left(host))[address], 60_000, 1_200);
  });

  describe(`${where}, a ban that the kernel made by itself comes back`, () => {
    test("after a flush, with the time that it had left, and with its cause", async () => {
      const host = await withBan();
      host.flush();
      if (withSets) host.ipset.edit("flush");
      host.clock.advance(400);
      const { found } = await host.firewall.converge(desired);
      assert.ok(found.some((what) => what.includes(`ban of ${address} missing in`)));
      assertNear((await left(host))[address], 49_600 - 120, 1000);
      assert.deepEqual((await host.bans())[0]?.policies, ["mysql"]);
      host.clock.advance(5000);
      const again = await host.firewall.converge(desired);
      assert.deepEqual([again.writes, again.found], [0, []]);
    });

    test("after somebody took it out by hand, also by a pass over bans alone", async () => {
      const host = await withBan();
      host.dropBan(mysql, address);
      await host.firewall.convergeBans(desired, true);
      assertNear((await left(host))[address], 50_000, 1000);
    });

    test("after a flush while the service was away, or a reboot", async () => {
      const host = await withBan();
      const { kernelBans } = await host.firewall.convergeBans(desired, false);
      host.flush();
      if (withSets) host.ipset.edit("flush");
      host.clock.advance(20_000);
      const restarted = host.restarted();
      restarted.recall(kernelBans);
      await restarted.converge(desired);
      assertNear((await left(host, restarted))[address], 30_000, 1200);
    });

    test("not when it ended meanwhile, or has less than a second left", async () => {
      for (const pause of [49_300, 60_000]) {
        const host = await withBan();
        host.flush();
        if (withSets) host.ipset.edit("flush");
        host.clock.advance(pause);
        await host.firewall.converge(desired);
        assert.equal(Object.values(await left(host)).filter((time) => time !== undefined).length, 0);
      }
    });

    test("not when nothing stands for it any more", async () => {
      const host = await withBan();
      host.flush();
      if (withSets) host.ipset.edit("flush");
      await host.firewall.converge(desire([{ ...mysql, ban: null }]));
      assert.deepEqual(await host.bans(), []);
    });

    test("not when it was lifted by the pass that found it lost", async () => {
      const host = await withBan();
      host.flush();
      if (withSets) host.ipset.edit("flush");
      await host.firewall.converge(desire([mysql], [], [address]));
      assert.deepEqual(await host.bans(), []);
    });

    test("and ends when it should have, never later", async () => {
      const host = await withBan();
      host.flush();
      if (withSets) host.ipset.edit("flush");
      const { nextEnd } = await host.firewall.converge(desired);
      assert.equal(nextEnd === null, withSets);
      host.clock.advance(withSets ? 50_100 : (nextEnd ?? 0) - host.clock.now());
      await host.firewall.convergeBans(desired, true);
      assert.deepEqual(await host.bans(), []);
      if (withSets) assert.equal(host.ipset.holds(banHomeFor(mysql), address), false);
      else assert.deepEqual(host.held(heldList) ?? [], []);
    });

    test("with all the others, however many", async () => {
      const host = createHost({ withSets });
      await host.firewall.converge(desired);
      for (let n = 0; n < 90; n += 1) host.offend(mysql, `198.18.0.${n}`);
      await host.firewall.convergeBans(desired, false);
      host.flush();
      if (withSets) host.ipset.edit("flush");
      await host.firewall.converge(desired);
      assert.equal(Object.values(await left(host)).filter((time) => time !== undefined).length, 90);
    });
  });
}

describe("with ipset", () => {
  test("5,000 offenders within a moment are all banned, and known with their end", async () => {
    const host = createHost();
    await host.firewall.converge(desired);
    for (let n = 0; n < 5000; n += 1) host.offend(mysql, `198.18.${n >> 8}.${n & 255}`);
    const { kernelBans } = await host.firewall.convergeBans(desired, false);
    assert.equal(kernelBans.length, 5000);
    for (const { expiresAt, policies } of kernelBans) {
      assertNear(expiresAt, host.clock.now() + 60_000, 200);
      assert.deepEqual(policies, ["mysql"]);
    }
  });

  test("a ban that somebody shortened gets its time back, and one that somebody gave no end gets one", async () => {
    for (const timeout of [3, 0]) {
      const host = createHost();
      await host.firewall.converge(desired);
      host.offend(mysql, address);
      await host.firewall.convergeBans(desired, false);
      host.ipset.edit(`add ${banHomeFor(mysql)} ${address} timeout ${timeout}`);
      await host.firewall.converge(desired);
      assertNear(host.ipset.left(banHomeFor(mysql))?.[address] ?? 0, 60_000, 1000);
    }
  });

  test("a ban whose time is in its home has no end of its own that the service has to keep", async () => {
    const host = createHost();
    await host.firewall.converge(desired);
    host.offend(mysql, address);
    assert.equal((await host.firewall.convergeBans(desired, false)).nextEnd, null);
  });

  test("operators' bans come back after `ipset flush`, in both families", async () => {
    const host = createHost();
    const bans = ["10.0.0.0/8", "2001:db8::/32"].map((network) => sampleOperatorBan({ address: network }));
    const wanted = desire([], bans);
    await host.firewall.converge(wanted);
    host.ipset.edit("flush");
    await host.firewall.converge(wanted);
    assert.deepEqual([host.operatorBans(4).inSet, host.operatorBans(6).inSet], [["10.0.0.0/8"], ["2001:db8::/32"]]);
  });
});

describe("without ipset", () => {
  const longer = samplePolicy({ name: "long", ports: [22], ban: { ...classicBan, seconds: 3600 } });
  const both = desire([mysql, longer]);

  async function botnet(sources: number) {
    const host = createHost({ withSets: false });
    await host.firewall.converge(both);
    for (let n = 0; n < sources; n += 1) {
      host.offend(n % 2 === 0 ? mysql : longer, `198.18.${n >> 8}.${n & 255}`);
      if (n % 40 === 39) await host.firewall.convergeBans(both, false);
    }
    return host;
  }

  test("more offenders than lists hold hold up no pass, and none is written again and again", async () => {
    const host = await botnet(1000);
    await host.firewall.converge(both);
    await host.firewall.converge(both);
    const writes = host.lists.writes.length;
    for (let look = 0; look < 3; look += 1) {
      host.clock.advance(2000);
      assert.deepEqual((await host.firewall.converge(both)).found, []);
    }
    assert.equal(host.lists.writes.length, writes);
  });

  test("more lost bans than a list takes back are put back as far as there is room, the longest first", async () => {
    const host = await botnet(200);
    host.flush();
    await host.firewall.converge(both);
    assert.equal(host.held(heldList)?.length, 100);
    const enforced = (await host.bans()).filter((ban) => ban.enforced);
    assert.ok(enforced.every((ban) => ban.policies.includes("long")));
  });

  test("operators' bans are never pushed out by offenders", async () => {
    const host = createHost({ withSets: false });
    const bans = Array.from({ length: 100 }, (_, n) => sampleOperatorBan({ address: `192.0.2.${n}` }));
    await host.firewall.converge(desire([mysql], bans));
    for (let n = 0; n < 300; n += 1) host.offend(mysql, `198.18.${n >> 8}.${n & 255}`);
    assert.equal(host.operatorBans().listed?.length, 100);
  });

  test("a ban from a set that ipset took with it comes back in a list", async () => {
    const host = createHost();
    await host.firewall.converge(desired);
    host.offend(mysql, address);
    const { kernelBans } = await host.firewall.convergeBans(desired, false);
    const gone = createHost({ withSets: false });
    gone.firewall.recall(kernelBans);
    await gone.firewall.converge(desired);
    assert.deepEqual(gone.held(heldList), [address]);
    assertNear((await left(gone))[address], 60_000, 1000);
    const { writes, found } = await gone.firewall.converge(desired);
    assert.deepEqual([writes, found], [0, []]);
  });
});

test("a stray in a list whose entries the service ends is taken out", async () => {
  const host = createHost({ withSets: false });
  await host.firewall.converge(desired);
  host.offend(mysql, address);
  await host.firewall.convergeBans(desired, false);
  host.dropBan(mysql, address);
  await host.firewall.convergeBans(desired, false);
  host.lists.stamp(heldList, "192.0.2.66");
  await host.firewall.convergeBans(desired, false);
  assert.deepEqual(host.held(heldList), [address]);
});
