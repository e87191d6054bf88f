import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createCountWatch } from "../../src/netfilter/count-watch.ts";
import type { Backend } from "../../src/netfilter/iptables/backend.ts";
import { parseSavedTable } from "../../src/netfilter/iptables/saved-table.ts";
import { samplePolicy } from "../support/samples.ts";
import { createTestClock } from "../support/test-clock.ts";

const own = ":CLD-INPUT - [0:0]\n-A CLD-INPUT -j RETURN\n";
const policies = [samplePolicy()];

function table(rules = own) {
  return parseSavedTable(`*filter\n:INPUT ACCEPT [0:0]\n${rules}COMMIT\n`);
}

function watching(backend: Backend = "legacy") {
  const clock = createTestClock();
  const watch = createCountWatch(backend, clock);
  watch.seen({ 4: table(), 6: table() }, policies);
  clock.advance(1000);
  return { clock, watch };
}

describe("on the legacy backend, counts are forgotten", () => {
  test("when this service writes to the table", () => {
    const { watch, clock } = watching();
    assert.equal(watch.forgottenAt(), null);
    watch.written();
    assert.equal(watch.forgottenAt(), clock.now());
  });

  for (const family of [4, 6] as const) {
    test(`when somebody else changed the table of IPv${family}`, () => {
      const { watch, clock } = watching();
      const changed = table(`${own}-A INPUT -p icmp -j ACCEPT\n`);
      watch.seen({ 4: table(), 6: table(), [family]: changed }, policies);
      assert.equal(watch.forgottenAt(), clock.now());
      clock.advance(1000);
      watch.seen({ 4: table(), 6: table(), [family]: changed }, policies);
      assert.equal(watch.forgottenAt(), clock.now() - 1000);
    });
  }

  test("not by a look, nor by packets that were counted", () => {
    const { watch } = watching();
    watch.seen({ 4: parseSavedTable(`*filter\n:INPUT ACCEPT [12:3456]\n${own}COMMIT\n`), 6: table() }, policies);
    assert.equal(watch.forgottenAt(), null);
  });

  test("not where nothing counted yet: without rules of its own, or without a policy that counts", () => {
    for (const [tables, some] of [
      [table(""), policies],
      [table(), []],
      [table(), [samplePolicy({ mode: "off" })]],
    ] as const) {
      const watch = createCountWatch("legacy", createTestClock());
      watch.seen({ 4: tables, 6: table("") }, some);
      watch.written();
      assert.equal(watch.forgottenAt(), null);
    }
  });
});

test("on the nft backend a rule keeps its counts whatever else is written", () => {
  const { watch } = watching("nft");
  watch.written();
  watch.seen({ 4: table(`${own}-A INPUT -p icmp -j ACCEPT\n`), 6: table() }, policies);
  assert.equal(watch.forgottenAt(), null);
});
