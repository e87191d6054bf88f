import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSavedTable } from "../../src/netfilter/iptables/saved-table.ts";
import type { FilterTable } from "../../src/netfilter/iptables/tables.ts";
import { createTableReader } from "../../src/netfilter/table-reader.ts";
import { createTestClock } from "../support/test-clock.ts";

function scene() {
  const clock = createTestClock();
  let reads = 0;
  let whileReading = (): void => undefined;
  const table: FilterTable = {
    read: async () => {
      reads += 1;
      whileReading();
      return parseSavedTable(`*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 10.0.0.${reads} -j DROP\nCOMMIT\n`);
    },
    test: async () => undefined,
    apply: async () => undefined,
  };
  const reader = createTableReader({ 4: table, 6: table }, clock);
  return {
    clock,
    reader,
    reads: () => reads,
    during: (action: () => void) => {
      whileReading = action;
    },
  };
}

test("a reading serves while it is younger than it has to be, and no longer", async () => {
  const { clock, reader, reads } = scene();
  const first = await reader.read(0);
  assert.deepEqual([first[4].input, reads()], [["-s 10.0.0.1 -j DROP"], 2]);
  clock.advance(99);
  assert.equal(await reader.read(100), first);
  clock.advance(1);
  assert.notEqual(await reader.read(100), first);
  assert.equal(reads(), 4);
});

test("nothing serves from before a write, not even what was read while it was made", async () => {
  const { reader, reads, during } = scene();
  await reader.read(0);
  reader.changed();
  during(reader.changed);
  await reader.read(1000);
  assert.equal(reads(), 4);
  await reader.read(1000);
  assert.equal(reads(), 6);
});
