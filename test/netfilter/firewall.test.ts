import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PassReport } from "../../src/domain/ports.ts";
import { sampleOperatorBan, samplePolicy } from "../support/samples.ts";
import { createHost, desire } from "./host.ts";
import { classicBan } from "./some-policies.ts";

const mysql = samplePolicy({ ban: classicBan });
const web = samplePolicy({ name: "web", ports: [80, 443], maxConnections: 20 });
const someBans = [
  sampleOperatorBan({ address: "192.0.2.1" }),
  sampleOperatorBan({ address: "2001:db8::1" }),
  sampleOperatorBan({ address: "10.0.0.0/8", expiresAt: Date.UTC(2027, 0, 1) }),
];
const singleBans = someBans.slice(0, 2);

/** Whether the kernel refuses every one of these, and no stranger. */
async function holdsAll(host: ReturnType<typeof createHost>, bans: typeof someBans): Promise<boolean> {
  const { operatorBans } = await host.firewall.view();
  return bans.every(({ address }) => operatorBans.has(address)) && !operatorBans.has("198.51.100.1");
}

function assertQuiet({ writes, found }: PassReport): void {
  assert.deepEqual([writes, found], [0, []]);
}

for (const withSets of [true, false]) {
  const operatorBans = withSets ? someBans : singleBans;
  const desired = desire([mysql, web], operatorBans);

  describe(`with ipset ${withSets ? "there" : "missing"}, a pass`, () => {
    test("brings rules, sets and lists into a kernel that has none, and says what was missing", async () => {
      const host = createHost({ withSets });
      const report = await host.firewall.converge(desired);
      assert.ok(await holdsAll(host, operatorBans));
      assert.ok(report.writes > 2);
      assert.ok(report.found.includes("IPv4: chain CLD-P-mysql missing"));
      assert.ok(report.found.includes("IPv6: chain CLD-P-mysql missing"));
      assert.equal(report.found.includes("set cld4-h32ro-all missing"), withSets);
      assert.ok(report.found.some((what) => what.startsWith("cld4-operator differs in")));
    });

    test("over a kernel that is in step writes nothing: no rule, no entry, no set", async () => {
      const host = createHost({ withSets });
      await host.firewall.converge(desired);
      const before = [host.kernel.restores().length, host.lists.writes.length, host.ipset.restores.length];
      for (const pause of [0, 333, 2000, 7777]) {
        host.clock.advance(pause);
        assertQuiet(await host.firewall.converge(desired));
        assertQuiet(await host.firewall.convergeBans(desired, pause === 333));
      }
      assert.deepEqual([host.kernel.restores().length, host.lists.writes.length, host.ipset.restores.length], before);
    });

    test("over bans that end at different times writes nothing while they run, from however old a reading", async () => {
      const host = createHost({ withSets });
      const ending = operatorBans.map((ban, index) => ({ ...ban, expiresAt: host.clock.now() + 90_010 + index * 333 }));
      const timed = desire([mysql], ending);
      await host.firewall.converge(timed);
      const restores = host.ipset.restores.length;
      for (let step = 0; step < 20; step += 1) {
        host.clock.advance(2_431);
        assertQuiet(await host.firewall.convergeBans(timed, false));
        host.clock.advance(2_100);
        assertQuiet(await host.firewall.convergeBans(timed, false));
        if (step % 5 === 0) assertQuiet(await host.firewall.converge(timed));
      }
      assert.equal(host.ipset.restores.length, restores);
    });

    test("after a restart writes nothing to a kernel that is in step but what tells its time", async () => {
      const host = createHost({ withSets });
      await host.firewall.converge(desired);
      const restores = host.kernel.restores().length;
      const restarted = host.restarted();
      assertQuiet(await restarted.converge(desired));
      assert.equal(host.kernel.restores().length, restores);
      assert.ok(host.lists.writes.slice(-2).every((write) => write === "cld4-canary +127.0.0.1"));
    });

    test("changes one family alone where only that one differs", async () => {
      const host = createHost({ withSets });
      await host.firewall.converge(desired);
      host.kernel.edit(6, "-F CLD-P-mysql");
      const report = await host.firewall.converge(desired);
      assert.deepEqual([host.kernel.restores(4).length, host.kernel.restores(6).length], [1, 2]);
      assert.deepEqual(report.found, ["IPv6: chain CLD-P-mysql differs in 1 rule"]);
    });

    test("rebuilds everything after a foreign flush, operators' bans too", async () => {
      const host = createHost({ withSets });
      await host.firewall.converge(desired);
      const [rules, bans] = [host.rules(4), host.operatorBans()];
      host.flush();
      assert.equal(host.firewall.glance().flushed, true);
      assert.equal(host.operatorBans().listed, undefined);
      await host.firewall.converge(desired);
      assert.deepEqual([host.rules(4), host.operatorBans(), host.firewall.glance().flushed], [rules, bans, false]);
    });

    test("over bans alone starts no iptables, and becomes a whole one when a list is missing", async () => {
      const host = createHost({ withSets });
      await host.firewall.converge(desired);
      const runs = host.kernel.invocations.length;
      const more = [...operatorBans, sampleOperatorBan({ address: "192.0.2.7" })];
      assert.equal((await host.firewall.convergeBans({ ...desired, operatorBans: more }, false)).writes, 1);
      assert.ok((await host.firewall.view()).operatorBans.has("192.0.2.7"));
      assert.equal(host.kernel.invocations.length, runs);
      host.kernel.edit(6, "-F CLD-INPUT");
      assert.equal(host.operatorBans(6).listed, undefined);
      await host.firewall.convergeBans(desired, false);
      assert.deepEqual(host.operatorBans(6).listed, ["2001:db8::1"]);
      assertQuiet(await host.firewall.converge(desired));
    });

    test("puts an operator's ban back that somebody took out, and takes out what nobody wants, and says so", async () => {
      const host = createHost({ withSets });
      await host.firewall.converge(desired);
      host.lists.drop("cld4-operator", "192.0.2.1");
      host.lists.stamp("cld4-operator", "198.51.100.1");
      if (withSets) host.ipset.edit("flush cld4-operator", "add cld6-operator 2001:db8:5::/48");
      host.clock.advance(2000);
      const { found } = await host.firewall.converge(desired);
      assert.ok(await holdsAll(host, operatorBans));
      assert.ok(found.some((what) => what.startsWith("cld4-operator differs in")));
      assertQuiet(await host.firewall.converge(desired));
    });
  });

  describe(`with ipset ${withSets ? "there" : "missing"}, foreign rules`, () => {
    const setUp = async () => {
      const host = createHost({ withSets });
      host.ipset.edit("create blocklist hash:ip family inet maxelem 10", "add blocklist 192.0.2.99");
      host.kernel.edit(
        4,
        ":f2b-sshd - [0:0]",
        "-A f2b-sshd -j RETURN",
        "-A INPUT -p tcp -j f2b-sshd",
        "-A INPUT -i lo -j ACCEPT",
      );
      const untouched = host.rules(4);
      await host.firewall.converge(desired);
      return { host, untouched };
    };

    test("stay as they are, below the jump", async () => {
      const { host, untouched } = await setUp();
      const present = host.rules(4).filter(([chain]) => !chain.startsWith("CLD-"));
      assert.deepEqual(
        present.map(([chain, rules]) => [chain, chain === "INPUT" ? rules.slice(1) : rules]),
        untouched,
      );
    });

    test("and foreign sets are all that a purge leaves", async () => {
      const { host, untouched } = await setUp();
      await host.firewall.purge();
      assert.deepEqual(host.rules(4), untouched);
      assert.deepEqual(
        host.rules(6).flatMap(([, rules]) => rules),
        [],
      );
      assert.deepEqual([host.lists.names(), host.ipset.names()], [[], ["blocklist"]]);
    });

    test("survive a second purge, which writes nothing", async () => {
      const { host } = await setUp();
      await host.firewall.purge();
      const before = [host.kernel.restores().length, host.ipset.restores.length];
      await host.firewall.purge();
      assert.deepEqual([host.kernel.restores().length, host.ipset.restores.length], before);
    });
  });

  describe(`with ipset ${withSets ? "there" : "missing"}, a check`, () => {
    test("of the first policies of a kernel that has nothing of ours is passed", async () => {
      const host = createHost({ withSets });
      await host.firewall.check(desired);
      assert.deepEqual([host.rules(4).flatMap(([, rules]) => rules), host.lists.names(), host.ipset.restores], [[], [], []]);
    });

    test("of another policy is passed, and changes nothing", async () => {
      const host = createHost({ withSets });
      await host.firewall.converge(desire([web]));
      const state = () => [host.rules(4), host.rules(6), host.lists.names(), host.ipset.names()];
      const before = state();
      await host.firewall.check(desired);
      assert.deepEqual(state(), before);
      assert.equal(host.kernel.invocations.filter(({ args }) => args.includes("--test")).length, 2);
      await host.firewall.converge(desired);
      assertQuiet(await host.firewall.converge(desired));
    });

    test("of what is there already asks nothing", async () => {
      const host = createHost({ withSets });
      await host.firewall.converge(desired);
      await host.firewall.check(desired);
      assert.equal(host.kernel.invocations.filter(({ args }) => args.includes("--test")).length, 0);
    });

    test("foresees exactly what the pass then writes", async () => {
      const host = createHost({ withSets });
      await host.firewall.converge(desire([web], [sampleOperatorBan({ address: "192.0.2.9" })]));
      const before = [host.kernel.restores().length, host.ipset.restores.length, host.lists.writes.length];
      const foreseen = await host.firewall.plan(desired);
      assert.deepEqual([host.kernel.restores().length, host.ipset.restores.length, host.lists.writes.length], before);
      await host.firewall.converge(desired);
      const lines = (texts: readonly string[]) => texts.flatMap((text) => text.split("\n").filter(Boolean));
      assert.deepEqual(lines(host.kernel.restores(4).slice(1)), foreseen.ipv4);
      assert.deepEqual(lines(host.kernel.restores(6).slice(1)), foreseen.ipv6);
      assert.deepEqual(lines(host.ipset.restores.slice(before[1])), foreseen.ipset);
      assert.deepEqual(
        host.lists.writes.slice(before[2]),
        foreseen.recent.map(({ list, write }) => `${list} ${write}`),
      );
    });
  });
}
