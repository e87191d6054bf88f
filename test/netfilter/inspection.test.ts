import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import type { CommandResult, RunCommand } from "../../src/netfilter/command/run.ts";
import { readFill, readRecentList, readRecentLists } from "../../src/netfilter/inspection.ts";
import { parseSavedSets } from "../../src/netfilter/ipset/saved-sets.ts";
import { otherBackendInUse } from "../../src/netfilter/other-backend.ts";
import { createFakeRecentLists } from "../support/fake-recent-lists.ts";
import { samplePolicy } from "../support/samples.ts";
import { createTestClock } from "../support/test-clock.ts";
import { createHost, desire } from "./host.ts";

async function hostInStep() {
  const host = createHost();
  await host.firewall.converge(desire([samplePolicy()]));
  return { ...host, shadows: async () => (await host.firewall.position()).shadowedBy };
}

describe("shadows", () => {
  test("are none while our jump is the first rule of INPUT and no earlier table drops", async () => {
    const host = await hostInStep();
    host.kernel.edit(4, "-A INPUT -p tcp -j ACCEPT", "-I FORWARD 1 -j ACCEPT");
    host.kernel.setOtherTable(4, "mangle", "-A PREROUTING -p tcp -j MARK --set-xmark 0x1/0xffffffff");
    assert.deepEqual(await host.shadows(), []);
  });

  test("are the rules of others above our jump, in order, by family", async () => {
    const host = await hostInStep();
    host.kernel.edit(4, "-I INPUT 1 -s 10.0.0.0/8 -j ACCEPT", "-I INPUT 2 -p icmp -j ACCEPT");
    host.kernel.edit(6, "-I INPUT 1 -p tcp -j DROP");
    assert.deepEqual(await host.shadows(), [
      "IPv4 filter: -A INPUT -s 10.0.0.0/8 -j ACCEPT",
      "IPv4 filter: -A INPUT -p icmp -j ACCEPT",
      "IPv6 filter: -A INPUT -p tcp -j DROP",
    ]);
  });

  test("are all rules of INPUT where our jump is gone", async () => {
    const host = createHost();
    host.kernel.edit(4, "-A INPUT -p icmp -j ACCEPT", "-A OUTPUT -j ACCEPT");
    assert.deepEqual((await host.firewall.position()).shadowedBy, ["IPv4 filter: -A INPUT -p icmp -j ACCEPT"]);
  });

  test("are rules that drop in tables that come earlier, in chains of others too", async () => {
    const host = await hostInStep();
    host.kernel.setOtherTable(4, "raw", "-A PREROUTING -s 192.0.2.0/24 -j DROP", "-A PREROUTING -j CT --notrack");
    host.kernel.setOtherTable(6, "mangle", "-A CHECKS -m tcp -p tcp -j DROP");
    assert.deepEqual(await host.shadows(), [
      "IPv4 raw: -A PREROUTING -s 192.0.2.0/24 -j DROP",
      "IPv6 mangle: -A CHECKS -m tcp -p tcp -j DROP",
    ]);
  });

  test("are rules that drop whatever stands in their comment, and not those that drop in a comment alone", async () => {
    const host = await hostInStep();
    const [drop, accept] = ["", "-j DROP"].map((text) => `-A PREROUTING -m comment --comment "a\n${text}\nb"`);
    host.kernel.setOtherTable(4, "raw", `${drop} -j DROP`, `${accept} -j ACCEPT`);
    assert.deepEqual(await host.shadows(), [`IPv4 raw: ${drop} -j DROP`]);
  });

  test("are not the rules of earlier tables for what this host sends or passes on", async () => {
    const host = await hostInStep();
    host.kernel.setOtherTable(4, "raw", "-A OUTPUT -d 192.0.2.0/24 -j DROP");
    host.kernel.setOtherTable(4, "mangle", "-A FORWARD -j DROP", "-A POSTROUTING -j DROP", "-A OUTPUT -j DROP");
    assert.deepEqual(await host.shadows(), []);
  });

  test("can't be told while the filter table can't be read", async () => {
    const host = await hostInStep();
    host.kernel.setFault("save fails", 6);
    await assert.rejects(host.shadows(), EnforcementDelayed);
  });
});

describe("the other backend", () => {
  const saving = (answer: Partial<CommandResult>): { run: RunCommand; asked: string[] } => {
    const asked: string[] = [];
    const run: RunCommand = async (file) => {
      asked.push(file);
      return { exitCode: 0, stdout: "", stderr: "", ...answer };
    };
    return { run, asked };
  };

  test("is in use when it has a rule of anybody", async () => {
    const { run, asked } = saving({ stdout: "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n" });
    assert.equal(await otherBackendInUse("legacy", run), true);
    assert.deepEqual(asked, ["iptables-nft-save", "ip6tables-nft-save"]);
  });

  test("is not in use when it has chains alone, or its program fails or is missing", async () => {
    for (const answer of [
      { stdout: "*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n" },
      { exitCode: 1, stdout: "-A INPUT -j ACCEPT\n" },
      { exitCode: null, failure: "not-found" },
    ]) {
      assert.equal(await otherBackendInUse("legacy", saving(answer).run), false);
    }
  });

  test("of nft is looked for without making the kernel set up tables of the legacy kind", async () => {
    const { run, asked } = saving({});
    assert.equal(await otherBackendInUse("nft", run), false);
    assert.ok(asked.every((program) => program.includes("-legacy-save")));
  });
});

function createLists() {
  const clock = createTestClock();
  const lists = createFakeRecentLists({ clock, tickRate: 100 });
  lists.keepOnly(["cld4-operator", "DEFAULT", "cld4-empty"]);
  lists.setCapacity(42);
  for (const address of ["192.0.2.1", "192.0.2.2"]) lists.stamp("DEFAULT", address);
  clock.advance(1000);
  lists.stamp("DEFAULT", "192.0.2.1");
  lists.stamp("cld4-operator", "192.0.2.9");
  return { clock, lists, wallTimeOf: (jiffies: number) => clock.now() + (jiffies - lists.jiffies()) * 10 };
}

describe("the lists of the host", () => {
  test("are all of them, others' too, by name, with their fill", () => {
    assert.deepEqual(readRecentLists(createLists().lists), [
      { name: "DEFAULT", own: false, entries: 2, capacity: 42 },
      { name: "cld4-empty", own: true, entries: 0, capacity: 42 },
      { name: "cld4-operator", own: true, entries: 1, capacity: 42 },
    ]);
  });

  test("are read with every packet that the kernel remembers, as times, the latest entry first", () => {
    const { lists, clock, wallTimeOf } = createLists();
    const now = clock.now();
    assert.deepEqual(readRecentList(lists, "DEFAULT", wallTimeOf), {
      name: "DEFAULT",
      own: false,
      capacity: 42,
      entries: [
        { address: "192.0.2.1", lastSeenAt: now, seenAt: [now - 1000, now] },
        { address: "192.0.2.2", lastSeenAt: now - 1000, seenAt: [now - 1000] },
      ],
    });
  });

  test("are never a file of another place", () => {
    const { lists, wallTimeOf } = createLists();
    const anything = { ...lists, read: () => assert.fail("only names that exist are read") };
    for (const name of ["../stat", "absent", "", "."]) assert.equal(readRecentList(anything, name, wallTimeOf), undefined);
  });
});

test("the fill is that of our own lists and of the sets", () => {
  const sets = parseSavedSets("create cld4-grace hash:net family inet maxelem 65536\nadd cld4-grace 10.0.0.0/8 timeout 9\n");
  const { lists } = createLists();
  const own = [
    { name: "cld4-operator", kind: "xt_recent", entries: 1, capacity: 42 },
    { name: "cld4-empty", kind: "xt_recent", entries: 0, capacity: 42 },
  ];
  assert.deepEqual(readFill(lists, sets), [...own, { name: "cld4-grace", kind: "ipset", entries: 1, capacity: 65_536 }]);
  assert.deepEqual(readFill(lists, null), own);
});
