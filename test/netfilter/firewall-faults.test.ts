import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DomainError } from "../../src/domain/errors.ts";
import { EnforcementDelayed, type PassReport } from "../../src/domain/ports.ts";
import { canaryName, operatorName } from "../../src/netfilter/bans/names.ts";
import { sampleOperatorBan, samplePolicy } from "../support/samples.ts";
import type { IpsetFault } from "../support/simulated-ipset.ts";
import type { Fault } from "../support/simulated-iptables.ts";
import { createHost, desire } from "./host.ts";
import { classicBan } from "./some-policies.ts";

const mysql = samplePolicy({ ban: classicBan });
const web = samplePolicy({ name: "web", ports: [80], ban: classicBan });
const desired = desire([mysql], [sampleOperatorBan({ address: "192.0.2.1" }), sampleOperatorBan({ address: "10.0.0.0/8" })]);

function assertQuiet({ writes, found }: PassReport): void {
  assert.deepEqual([writes, found], [0, []]);
}

async function assertDelayed(outcome: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(outcome, (error: Error) => {
    assert.ok(error instanceof EnforcementDelayed, String(error));
    assert.match(error.message, message);
    return true;
  });
}

const delays: readonly (readonly [Fault, RegExp])[] = [
  ["lock held", /could not get the lock/],
  ["program missing", /the program ip6?tables-nft-save is missing/],
  ["killed", /was ended by a signal/],
  ["save fails", /can't open the table/],
  ["save prints an error and exits with 0", /fails: iptables-save v1\.8\.9/],
  ["save prints half a table", /ends before its COMMIT/],
];

for (const [fault, message] of delays) {
  test(`a pass is delayed, and the next one makes up for it, when: ${fault}`, async () => {
    const host = createHost();
    host.kernel.setFault(fault);
    await assertDelayed(host.firewall.converge(desired), message);
    host.kernel.setFault(null);
    await host.firewall.converge(desired);
    assertQuiet(await host.firewall.converge(desired));
  });
}

const ipsetDelays: readonly (readonly [IpsetFault, RegExp])[] = [
  ["save fails", /ipset save fails: .*Operation not permitted/],
  ["restore fails", /ipset restore fails: .*Kernel error received/],
  ["killed", /ipset save fails: timed-out/],
];

for (const [fault, message] of ipsetDelays) {
  test(`a pass is delayed, and the next one makes up for it, when ipset's fault is: ${fault}`, async () => {
    const host = createHost();
    await host.firewall.converge(desire([]));
    host.ipset.setFault(fault);
    host.clock.advance(3000);
    await assertDelayed(host.firewall.converge(desired), message);
    host.ipset.setFault(null);
    await host.firewall.converge(desired);
    assertQuiet(await host.firewall.converge(desired));
  });
}

test("a lift is not forgotten when ipset fails in the middle of it", async () => {
  const host = createHost();
  await host.firewall.converge(desired);
  host.offend(mysql, "203.0.113.9");
  await host.firewall.convergeBans(desired, false);
  host.ipset.setFault("restore fails");
  const lift = { ...desired, lifts: ["203.0.113.9"] };
  await assertDelayed(host.firewall.convergeBans(lift, false), /ipset restore fails/);
  assert.deepEqual(await host.bannedAddresses(), ["203.0.113.9"]);
  host.ipset.setFault(null);
  await host.firewall.convergeBans(lift, false);
  assert.deepEqual(await host.bannedAddresses(), []);
});

for (const fault of ["refused", "refused by nft"] as const) {
  test(`what the kernel says no to is refused in iptables' words, not tried for ever (${fault})`, async () => {
    const host = createHost();
    await host.firewall.converge(desire([]));
    host.kernel.setFault(fault);
    for (const attempt of [() => host.firewall.check(desired), () => host.firewall.converge(desired)]) {
      await assert.rejects(attempt, (error: Error) => {
        assert.ok(error instanceof DomainError && error.code === "kernel-refused", String(error));
        assert.match(error.message, /line \d failed|RULE_APPEND failed/);
        return true;
      });
    }
  });
}

describe("when one family fails", () => {
  test("the other is brought in step all the same", async () => {
    const host = createHost();
    host.kernel.setFault("lock held", 6);
    await assert.rejects(host.firewall.converge(desired), EnforcementDelayed);
    assert.equal(host.kernel.restores(4).length, 1);
    host.kernel.setFault(null);
    const report = await host.firewall.converge(desired);
    assert.ok(report.found.every((what) => !what.startsWith("IPv4")));
  });
});

describe("a kernel that takes the rules and holds others", () => {
  test("is not taken to be in step", async () => {
    const host = createHost();
    host.kernel.setFault("restore keeps other rules", 4);
    await assertDelayed(
      host.firewall.converge(desired),
      /^the kernel took the rules but holds others: chain CLD-INPUT differs in 2 rules$/,
    );
    assert.deepEqual(
      host.lists.read(operatorName(4))?.map(({ address }) => address),
      ["192.0.2.1"],
      "the bans are there all the same",
    );
  });

  test("is not taken to be in step either where that is seen while the clock is measured", async () => {
    const host = createHost({ withTurns: true });
    host.kernel.setFault("restore keeps other rules", 4);
    await assertDelayed(host.firewall.converge(desired), /^the kernel took the rules but holds others/);
  });

  test("but prints them in other words is in step, and written to once", async () => {
    const host = createHost();
    host.kernel.setFault("save uses other words");
    await host.firewall.converge(desired);
    assertQuiet(await host.firewall.converge(desired));
    assert.equal(host.kernel.restores().length, 2);
  });

  test("and prints those of a later policy in other words too is written to once for it", async () => {
    const host = createHost();
    host.kernel.setFault("save uses other words");
    await host.firewall.converge(desired);
    const more = desire([mysql, web], desired.operatorBans);
    await host.firewall.converge(more);
    assertQuiet(await host.firewall.converge(more));
    assert.equal(host.kernel.restores().length, 4);
  });

  test("and prints in other words is put right where it differs in more than words", async () => {
    const host = createHost();
    host.kernel.setFault("save uses other words");
    await host.firewall.converge(desired);
    host.kernel.edit(4, "-D CLD-P-mysql 1");
    assert.deepEqual((await host.firewall.converge(desired)).found, ["IPv4: chain CLD-P-mysql differs in 1 rule"]);
  });
});

test("a rule that somebody changes, comment kept, in the moment in which it is read back is put right by the next pass", async () => {
  const host = createHost();
  host.kernel.afterNextRestore(() => {
    const [counting] = (host.kernel.table(4).get("CLD-P-mysql") ?? []).map(({ text }) => text);
    host.kernel.edit(
      4,
      "-D CLD-P-mysql 1",
      `-A CLD-P-mysql ${counting?.replace("--connlimit-above 2", "--connlimit-above 2000")}`,
    );
  });
  await host.firewall.converge(desired).catch(() => undefined);
  await host.firewall.converge(desired);
  const after = host.rules(4).flatMap(([, rules]) => rules);
  assert.equal(
    after.some((rule) => rule.includes("--connlimit-above 2000")),
    false,
  );
});

describe("a pass is delayed", () => {
  test("when an operator's ban does not stay where it was written", async () => {
    const host = createHost();
    host.lists.loseAdditions();
    await assertDelayed(host.firewall.converge(desired), /cld4-operator does not hold 1 of the entries|clock can't be read/);
  });

  test("when the kernel's clock can't be read", async () => {
    const host = createHost();
    await host.firewall.converge(desired);
    host.lists.keepOnly(host.lists.names().filter((name) => name !== canaryName(4)));
    await assertDelayed(host.restarted().converge(desired), /clock can't be read/);
  });
});

describe("operators' bans for which there is no room", () => {
  test("are none with ipset, however many there are", async () => {
    const host = createHost();
    host.lists.setCapacity(10);
    const bans = Array.from({ length: 2000 }, (_, n) => sampleOperatorBan({ address: `198.18.${n >> 8}.${n & 255}` }));
    const many = desire([], bans);
    await host.firewall.converge(many);
    const view = await host.firewall.view();
    assert.ok(bans.every(({ address }) => view.operatorBans.has(address)));
    assert.deepEqual([host.operatorBans().listed?.length, host.operatorBans().inSet.length], [10, 1990]);
    assertQuiet(await host.firewall.converge(many));
    assert.ok(host.firewall.banRoom().capacity > 200_000);
  });

  test("are shown as not enforced without ipset, and hold nothing else up", async () => {
    const host = createHost({ withSets: false });
    await host.firewall.converge(desire([]));
    host.lists.setCapacity(1);
    assert.deepEqual([host.firewall.banRoom().capacity, host.firewall.banRoom().networks], [1, false]);
    const bans = ["192.0.2.1", "192.0.2.2", "10.0.0.0/8"].map((address) => sampleOperatorBan({ address }));
    await host.firewall.converge(desire([mysql], bans));
    const view = await host.firewall.view();
    assert.deepEqual(
      bans.map(({ address }) => view.operatorBans.has(address)),
      [true, false, false],
    );
  });
});

test("the facts name the backend, its version, and what there is of lists and sets", async () => {
  const host = createHost({ backend: "legacy" });
  await host.firewall.converge(desired);
  const facts = await host.firewall.inspector.facts();
  assert.deepEqual([facts.backend, facts.version, facts.withoutSets, facts.otherBackendInUse], ["legacy", "1.8.9", null, false]);
  const fill = facts.lists.filter(({ name }) => name === "cld4-operator").map(({ kind, entries }) => [kind, entries]);
  assert.deepEqual(fill, [
    ["xt_recent", 1],
    ["ipset", 1],
  ]);
  assert.deepEqual((await host.firewall.position()).shadowedBy, []);
  assert.equal(host.firewall.inspector.recentList("cld4-operator")?.entries[0]?.address, "192.0.2.1");
  assert.ok(host.firewall.inspector.recentLists().some(({ name }) => name === "cld4-operator"));
});

test("the facts of a host without ipset say why, with the remedy", async () => {
  const host = createHost({ withSets: false });
  await host.firewall.converge(desire([mysql]));
  assert.match((await host.firewall.inspector.facts()).withoutSets ?? "", /ipset is missing: install/);
});

test("the facts name the programs that end connections and are not there", async () => {
  const missingOn = async (host: ReturnType<typeof createHost>) => (await host.firewall.inspector.facts()).missingPrograms;
  assert.deepEqual(await missingOn(createHost({ missing: "conntrack" })), ["conntrack"]);
  assert.deepEqual(await missingOn(createHost()), []);
});
