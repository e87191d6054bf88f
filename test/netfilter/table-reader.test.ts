import assert from "node:assert/strict";
import { test } from "node:test";
import type { FilterTable, Listing } from "../../src/netfilter/iptables/tables.ts";
import type { Listings } from "../../src/netfilter/kept-listings.ts";
import { createTableReader } from "../../src/netfilter/table-reader.ts";
import { createTestClock } from "../support/test-clock.ts";

const unused = (): never => assert.fail("nobody asks for that");

function tableWith(listing: Listing | undefined): FilterTable {
  return {
    read: unused,
    listing: () => listing,
    isStill: unused,
    readAfter: unused,
    readEarlier: unused,
    test: unused,
    prepare: unused,
    apply: unused,
  };
}

/** What is kept at a stop after a pass that left the tables so. */
async function keptOf(four: Listing | undefined, six: Listing | undefined, isLarge = true): Promise<Listings | null | undefined> {
  let kept: Listings | null | undefined;
  const reader = createTableReader({
    tables: { 4: tableWith(four), 6: tableWith(six) },
    generation: { current: async () => 7, prepare: () => undefined },
    listings: {
      known: () => null,
      keep: async (listings) => {
        kept = listings;
      },
    },
    clock: createTestClock(),
  });
  reader.note(isLarge);
  await reader.finish();
  return kept;
}

const [four, six] = [
  { text: "-P INPUT ACCEPT\n", generation: 7 },
  { text: "-P INPUT DROP\n", generation: 7 },
];

test("what is kept of two tables was listed at one generation", async () => {
  assert.deepEqual(await keptOf(four, six), { generation: 7, texts: { 4: four.text, 6: six.text } });
  assert.equal(await keptOf(four, { ...six, generation: 8 }), null);
  assert.equal(await keptOf(undefined, six), null);
  assert.equal(await keptOf(four, undefined), null);
});

test("nothing is kept where a start is as fast without", async () => {
  assert.equal(await keptOf(four, six, false), null);
});

test("a stop before the first pass leaves what is kept as it is", async () => {
  const reader = createTableReader({
    tables: { 4: tableWith(four), 6: tableWith(six) },
    generation: { current: async () => 7, prepare: () => undefined },
    listings: { known: () => null, keep: unused },
    clock: createTestClock(),
  });
  await reader.finish();
});

test("rules are recalled by the first reading alone, and only where they were kept", () => {
  const table: FilterTable = { ...tableWith(four), read: () => new Promise(() => undefined) };
  const readerWith = (known: Listings | null) =>
    createTableReader({
      tables: { 4: table, 6: table },
      generation: { current: async () => 7, prepare: () => undefined },
      listings: { known: () => known, keep: unused },
      clock: createTestClock(),
    });
  assert.equal(readerWith(null).isRecalled(), false);
  const reader = readerWith({ generation: 7, texts: { 4: four.text, 6: six.text } });
  assert.equal(reader.isRecalled(), true);
  void reader.read(null);
  assert.equal(reader.isRecalled(), false);
});
