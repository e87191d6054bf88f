import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Policy } from "../../src/domain/policy.ts";
import { sampleOperatorBan, samplePolicy } from "../support/samples.ts";
import { banHomeFor, createHost, desire } from "./host.ts";
import { classicBan } from "./some-policies.ts";

const address = "203.0.113.9";
const mysql = samplePolicy({ ban: classicBan });
const webHost = samplePolicy({ name: "web", ports: [80], ban: classicBan });
const webPorts = samplePolicy({ name: "web", ports: [80], ban: { ...classicBan, scope: "ports" } });

for (const withSets of [true, false]) {
  const where = withSets ? "with ipset" : "without ipset";

  /** A host on which the policies are in place. */
  const hostWith = async (...policies: readonly Policy[]) => {
    const host = createHost({ withSets });
    await host.firewall.converge(desire(policies));
    return host;
  };
  const homeFor = (policy: Policy, family: 4 | 6 = 4) => banHomeFor(policy, family, withSets);

  describe(`${where}, the view`, () => {
    test("shows nothing before the first pass", async () => {
      const view = await createHost({ withSets }).firewall.view();
      assert.deepEqual([view.operatorBans.has("192.0.2.7"), view.policyBans, view.offenders("mysql")], [false, [], []]);
    });

    test("shows the bans that the kernel made by itself, right to 0.2 s", async () => {
      const host = await hostWith(mysql);
      host.clock.advance(5000);
      const now = host.clock.now();
      host.offend(mysql, address);
      const [ban] = await host.bans();
      assert.deepEqual([ban?.address, ban?.policies, ban?.enforced], [address, ["mysql"], true]);
      assert.ok(Math.abs((ban?.since ?? 0) - now) < 200);
      assert.ok(Math.abs((ban?.expiresAt ?? 0) - now - 60_000) < 200);
    });

    test("shows offenders with and without a ban", async () => {
      const observer = samplePolicy({ name: "observer", ports: [80], mode: "observe" });
      const host = await hostWith(mysql, observer);
      host.offend(observer, "192.0.2.1");
      host.offend(mysql, address);
      const view = await host.firewall.view();
      assert.equal(view.offenders("observer")[0]?.bannedUntil, null);
      assert.equal(view.offenders("mysql")[0]?.bannedUntil, (await host.bans())[0]?.expiresAt);
      assert.deepEqual(view.offenders("nobody"), []);
    });

    test("shows each ban to the end of its time", async () => {
      const host = await hostWith(mysql);
      host.offend(mysql, address);
      host.clock.advance(59_700);
      assert.equal((await host.bans()).length, 1);
      host.clock.advance(600);
      assert.equal((await host.bans()).length, 0);
    });

    test("starts no program while no packet has gone over a limit", async () => {
      const host = await hostWith(mysql);
      await host.firewall.view();
      const started = host.started();
      for (let look = 0; look < 10; look += 1) await host.firewall.view();
      assert.equal(host.started(), started);
    });

    test("shows no ban of a protected source, whoever wrote it", async () => {
      const host = await hostWith(mysql);
      host.lists.stamp("cld4-operator", "127.0.0.1");
      assert.equal((await host.firewall.view()).operatorBans.has("127.0.0.1"), false);
    });
  });

  describe(`${where}, a running ban is lifted`, () => {
    const changes: readonly (readonly [string, readonly Policy[]])[] = [
      ["by deleting its policy", []],
      ["by turning its policy off", [{ ...mysql, mode: "off" }]],
      ["by only observing from now on", [{ ...mysql, mode: "observe" }]],
      ["by ban null", [{ ...mysql, ban: null }]],
      ["by exempting its source", [{ ...mysql, exempt: ["203.0.113.0/24"] }]],
    ];
    for (const [what, policies] of changes) {
      test(what, async () => {
        // The second policy bans into the same home, so that it lives on.
        const host = await hostWith(mysql, webHost);
        host.offend(mysql, address);
        await host.firewall.convergeBans(desire([mysql, webHost]), false);
        host.clock.advance(1000);
        host.offend(webHost, "192.0.2.1");
        const desired = desire([...policies, webHost]);
        await host.firewall.converge(desired);
        assert.deepEqual(await host.bannedAddresses(), ["192.0.2.1"]);
        const { writes, found } = await host.firewall.converge(desired);
        assert.deepEqual([writes, found], [0, []]);
      });
    }

    test("by its address, in every home and every trace, and nobody else is", async () => {
      const host = await hostWith(mysql, webPorts);
      host.offend(mysql, address);
      host.offend(webPorts, address);
      host.offend(webPorts, "192.0.2.1");
      await host.firewall.convergeBans(desire([mysql, webPorts], [], [address]), false);
      assert.deepEqual(await host.bannedAddresses(), ["192.0.2.1"]);
      assert.deepEqual((await host.firewall.view()).offenders("mysql"), []);
      assert.deepEqual(
        (await host.firewall.view()).offenders("web").map((one) => one.source),
        ["192.0.2.1"],
      );
    });

    test("by its network where the policy counts by one, and only by exactly that", async () => {
      const host = await hostWith(mysql);
      host.offend(mysql, "2001:db8:1:2::", 6);
      await host.firewall.converge(desire([mysql], [], ["2001:db8:1:2::", "2001:db8:1::/48", "192.0.2.1"]));
      assert.equal((await host.bans()).length, 1);
      await host.firewall.converge(desire([mysql], [], ["2001:db8:1:2::/64"]));
      assert.deepEqual(await host.bans(), []);
    });

    test("and stays lifted, however often somebody looks meanwhile", async () => {
      const host = await hostWith(mysql);
      host.offend(mysql, address);
      await host.firewall.view();
      const looks = [host.firewall.inspector.facts(), host.firewall.view()];
      const lifted = host.firewall.convergeBans(desire([mysql], [], [address]), false);
      looks.push(host.firewall.view(), host.firewall.inspector.facts());
      await Promise.all([...looks, lifted]);
      for (let look = 0; look < 3; look += 1) {
        assert.deepEqual(await host.bannedAddresses(), []);
        await host.firewall.converge(desire([mysql]));
        host.clock.advance(300);
      }
    });

    test("not by exempting a part of its network", async () => {
      const wide = samplePolicy({ ban: classicBan, countPer: { ipv4Prefix: 24, ipv6Prefix: 64 } });
      const host = await hostWith(wide);
      host.offend(wide, "203.0.113.0");
      await host.firewall.converge(desire([{ ...wide, exempt: [address] }]));
      assert.deepEqual(await host.bannedAddresses(), ["203.0.113.0/24"]);
    });

    test("although another policy that does not share its home saw the source in the same tick", async () => {
      const host = await hostWith(mysql, webPorts);
      host.offend(webPorts, address);
      host.offend(mysql, address);
      await host.firewall.converge(desire([webPorts]));
      assert.deepEqual(
        (await host.bans()).map((ban) => ban.policies),
        [["web"]],
      );
      assert.equal(host.isChecked(homeFor(mysql)), false);
    });
  });

  describe(`${where}, a source with grace`, () => {
    const graces = [{ address, until: Date.UTC(2026, 10, 22, 9) }];

    test("is listed as an offender and not banned, until the grace ends", async () => {
      const host = await hostWith(mysql);
      const graced = desire([mysql], [], [address], graces);
      await host.firewall.convergeBans(graced, false);
      host.offend(mysql, address);
      host.offend(mysql, "192.0.2.1");
      assert.deepEqual(await host.bannedAddresses(), ["192.0.2.1"]);
      assert.equal((await host.firewall.view()).offenders("mysql").length, 2);
      await host.firewall.convergeBans(desire([mysql]), false);
      host.offend(mysql, address);
      assert.deepEqual((await host.bannedAddresses()).toSorted(), ["192.0.2.1", address]);
    });

    test("holds up no pass, whatever the policies become meanwhile", async () => {
      for (const policy of [mysql, { ...mysql, ban: null }, { ...mysql, mode: "off" as const }]) {
        const host = await hostWith(mysql);
        const desired = desire([policy], [], [], [...graces, { address: "10.1.0.0/16", until: Date.UTC(2026, 10, 22, 9) }]);
        await host.firewall.converge(desired);
        const { writes, found } = await host.firewall.converge(desired);
        assert.deepEqual([writes, found], [0, []]);
      }
    });
  });

  describe(`${where}, a ban outlives an edit of its policy: its home`, () => {
    const edits: readonly (readonly [string, Partial<Policy>])[] = [
      ["the ban's seconds", { ban: { ...classicBan, seconds: 600 } }],
      ["the ban's scope", { ban: { ...classicBan, scope: "ports" } }],
      ["the way of refusing", { rejectWith: "drop" }],
      ["renewal", { ban: { ...classicBan, renewOnAttempt: true } }],
      ["the prefix by which it counts", { countPer: { ipv4Prefix: 24, ipv6Prefix: 56 } }],
    ];
    for (const [what, change] of edits) {
      test(`stays until its bans end, after a change of ${what}`, async () => {
        const host = await hostWith(mysql);
        host.offend(mysql, address);
        const end = host.clock.now() + 60_000;
        const edited = { ...mysql, ...change, revision: 2 };
        const desired = desire([edited]);
        for (let look = 0; look < 3; look += 1) {
          await host.firewall.converge(desired);
          assert.equal(host.isChecked(homeFor(mysql)), true);
          const bans = await host.bans();
          assert.deepEqual(
            bans.map((ban) => [ban.address, ban.enforced]),
            [[address, true]],
          );
          assert.ok((bans[0]?.expiresAt ?? 0) <= end + 600);
          host.clock.advance(2000);
        }
        host.clock.advance(60_000);
        await host.firewall.converge(desired);
        assert.deepEqual(await host.bans(), []);
        assert.equal(host.isChecked(homeFor(mysql)), homeFor(edited) === homeFor(mysql));
      });
    }
  });

  describe(`${where}, a running ban survives`, () => {
    test("a restart of the service", async () => {
      const host = await hostWith(mysql);
      host.offend(mysql, address);
      const restarted = host.restarted();
      await restarted.converge(desire([mysql]));
      assert.deepEqual(
        (await restarted.view()).policyBans.map((ban) => [ban.address, ban.policies]),
        [[address, ["mysql"]]],
      );
    });

    for (const [what, change] of [
      ["a restart", {}],
      ["an edit of the ban", { ban: { ...classicBan, seconds: 600 }, revision: 2 }],
    ] as const) {
      test(`${what} although the trace of the offence was pushed out`, async () => {
        const host = await hostWith(mysql);
        host.offend(mysql, address);
        host.lists.drop("cld4-who-32-mysql", address);
        if (withSets) host.ipset.edit(`del cld4-w32-mysql ${address}`);
        const service = what === "a restart" ? host.restarted() : host.firewall;
        for (let look = 0; look < 2; look += 1) {
          await service.converge(desire([{ ...mysql, ...change }]));
          assert.deepEqual(
            (await service.view()).policyBans.map((ban) => ban.address),
            [address],
          );
        }
      });
    }

    for (const by of [3_600_000, -3_600_000]) {
      test(`a wall clock that is set by ${by} ms, with the time that it has left`, async () => {
        const host = await hostWith(mysql);
        host.offend(mysql, address);
        host.clock.advance(10_000);
        const left = async () => (await host.bans()).map((ban) => ban.expiresAt - host.clock.now());
        const before = await left();
        host.setWallClock(by);
        const restores = host.ipset.restores.length;
        await host.firewall.converge(desire([mysql]));
        assert.equal(before.length, 1);
        assert.deepEqual([await left(), host.ipset.restores.length], [before, restores]);
      });
    }
  });
}

test("a lift says in its report what it wrote", async () => {
  const host = createHost();
  await host.firewall.converge(desire([mysql]));
  host.offend(mysql, address);
  const { writes, found } = await host.firewall.convergeBans(
    desire([mysql], [sampleOperatorBan({ address: "192.0.2.7" })], [address]),
    false,
  );
  // The ban and its two traces, and the operator's.
  assert.deepEqual([writes, found], [4, []]);
});
