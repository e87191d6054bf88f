import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Policy } from "../../src/domain/policy.ts";
import { samplePolicy } from "../support/samples.ts";
import type { RuleInstance, TableModel } from "../support/table-model.ts";
import { createHost, desire } from "./host.ts";
import { classicBan } from "./some-policies.ts";

const mysql = samplePolicy({ ban: classicBan });
const web = samplePolicy({ name: "web", ports: [80, 443], maxConnections: 20 });

function countingRule(table: TableModel, policy: string): RuleInstance {
  const rule = table.get(`CLD-P-${policy}`)?.find(({ text }) => text.includes("-m connlimit"));
  return rule ?? assert.fail(`no rule counts for ${policy}`);
}

for (const withSets of [true, false]) {
  describe(`with ipset ${withSets ? "there" : "missing"}, an edit of a policy`, () => {
    const edits: readonly (readonly [string, Partial<Policy>])[] = [
      ["its description", { description: "other words" }],
      ["its ban", { ban: { seconds: 600, scope: "ports", renewOnAttempt: true } }],
      ["ban to null", { ban: null }],
      ["its way of refusing", { rejectWith: "drop" }],
      ["its exemptions", { exempt: ["10.0.0.0/8", "192.0.2.7", "2001:db8::/48"] }],
      ["its mode to observe", { mode: "observe" }],
      ["the order of its ports", { ports: [3307, 3306] }],
    ];
    const before = samplePolicy({ ports: [3306, 3307], ban: classicBan });

    for (const [what, change] of edits) {
      test(`that changes ${what} leaves every rule that counts as it is`, async () => {
        const host = createHost({ withSets });
        await host.firewall.converge(desire([before, web]));
        const counting = (["mysql", "web"] as const).map((name) => countingRule(host.kernel.table(4), name));
        await host.firewall.converge(desire([{ ...before, ...change, revision: 2 }, web]));
        assert.equal(countingRule(host.kernel.table(4), "mysql"), counting[0]);
        assert.equal(countingRule(host.kernel.table(4), "web"), counting[1]);
      });
    }

    for (const [what, change] of [
      ["its limit", { maxConnections: 3 }],
      ["its ports", { ports: [3306] }],
      ["its prefixes", { countPer: { ipv4Prefix: 24, ipv6Prefix: 56 } }],
    ] as const) {
      test(`that changes ${what} writes its own counting rule anew, and no other's`, async () => {
        const host = createHost({ withSets });
        await host.firewall.converge(desire([before, web]));
        const counting = (["mysql", "web"] as const).map((name) => countingRule(host.kernel.table(6), name));
        await host.firewall.converge(desire([{ ...before, ...change, revision: 2 }, web]));
        assert.notEqual(countingRule(host.kernel.table(6), "mysql"), counting[0]);
        assert.equal(countingRule(host.kernel.table(6), "web"), counting[1]);
      });
    }

    test("to off, and its deletion, take its rules and sets out", async () => {
      const host = createHost({ withSets });
      await host.firewall.converge(desire([web]));
      const without = [host.rules(4), host.ipset.names()];
      for (const policies of [[{ ...mysql, mode: "off" as const }, web], [web]]) {
        await host.firewall.converge(desire([mysql, web]));
        await host.firewall.converge(desire(policies));
        assert.deepEqual([host.rules(4), host.ipset.names()], without);
      }
    });
  });
}

describe("a set of ours", () => {
  test("that a foreign rule names stays, and holds up no pass and no purge", async () => {
    const host = createHost();
    await host.firewall.converge(desire([mysql, web]));
    host.kernel.edit(4, "-A FORWARD -m set --match-set cld4-w32-web src -j LOG");
    const without = desire([mysql]);
    await host.firewall.converge(without);
    const { writes, found } = await host.firewall.converge(without);
    assert.deepEqual([writes, found], [0, []]);
    assert.ok(host.ipset.names().includes("cld4-w32-web"));
    assert.equal(host.ipset.names().includes("cld6-w64-web"), false);
    await host.firewall.purge();
    assert.deepEqual(host.ipset.names(), ["cld4-w32-web"]);
  });

  test("that somebody held is tried again ten minutes later, and goes when nobody holds it any more", async () => {
    const host = createHost();
    await host.firewall.converge(desire([mysql, web]));
    host.kernel.edit(4, "-A FORWARD -m set --match-set cld4-w32-web src -j LOG");
    const without = desire([mysql]);
    await host.firewall.converge(without);
    host.kernel.edit(4, "-D FORWARD -m set --match-set cld4-w32-web src -j LOG");
    host.clock.advance(599_000);
    assert.equal((await host.firewall.converge(without)).writes, 0);
    host.clock.advance(1_000);
    await host.firewall.converge(without);
    assert.equal(host.ipset.names().includes("cld4-w32-web"), false);
    host.clock.advance(600_000);
    assert.deepEqual((await host.firewall.converge(without)).found, []);
  });

  test("is used again by a policy that comes back", async () => {
    const host = createHost();
    await host.firewall.converge(desire([mysql, web]));
    host.kernel.edit(4, "-A FORWARD -m set --match-set cld4-w32-web src -j LOG");
    await host.firewall.converge(desire([mysql]));
    const again = desire([mysql, web]);
    await host.firewall.converge(again);
    assert.deepEqual((await host.firewall.converge(again)).found, []);
  });

  test("that is of another type than it has to be is not taken for it", async () => {
    const host = createHost();
    host.ipset.edit("create cld4-operator hash:ip family inet hashsize 64 maxelem 10 timeout 0");
    await assert.rejects(host.firewall.converge(desire([])), /the ipset cld4-operator is of another type/);
  });

  test("that nobody wants any more is destroyed, whoever made it", async () => {
    const host = createHost();
    host.ipset.edit("create cld4-old hash:ip family inet maxelem 10 timeout 0");
    assert.ok((await host.firewall.converge(desire([]))).found.includes("set cld4-old not wanted"));
    assert.equal(host.ipset.names().includes("cld4-old"), false);
  });
});

describe("on the legacy backend, where a write forgets what all rules have counted,", () => {
  test("homes whose last ban has ended stay until there is another reason to write", async () => {
    const host = createHost({ backend: "legacy", withSets: false });
    await host.firewall.converge(desire([mysql, web]));
    host.offend(mysql, "203.0.113.9");
    const edited = desire([{ ...mysql, ban: { ...classicBan, seconds: 600 }, revision: 2 }, web]);
    await host.firewall.converge(edited);
    host.clock.advance(70_000);
    const restores = host.kernel.restores().length;
    assert.deepEqual((await host.firewall.converge(edited)).found, []);
    assert.equal(host.kernel.restores().length, restores);
    assert.equal(host.isChecked("cld4-host-60s-32-reset-once-all"), true);
    await host.firewall.converge(desire(edited.policies.slice(0, 1)));
    assert.equal(host.isChecked("cld4-host-60s-32-reset-once-all"), false);
  });

  test("it is told when they were forgotten", async () => {
    const host = createHost({ backend: "legacy" });
    const desired = desire([mysql]);
    await host.firewall.converge(desired);
    await host.firewall.converge(desired);
    assert.equal(host.firewall.countsForgottenAt(), null);
    host.kernel.edit(4, "-A INPUT -p icmp -j ACCEPT");
    await host.firewall.converge(desired);
    assert.equal((await host.firewall.inspector.facts()).countsForgottenAt, host.clock.now());
  });
});
