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
    readSoon: unused,
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

test("what a first reading asks is begun: a number where the rules were kept, lists where there are rules, and programs that list and write otherwise", async () => {
  const begunWith = async (known: Listings | null, isFull: boolean): Promise<readonly string[]> => {
    const begun: string[] = [];
    const tableOf = (family: 4 | 6): FilterTable => ({
      ...tableWith(undefined),
      prepare: () => void begun.push(`session ${family}`),
      readSoon: async () => void begun.push(`list ${family}`),
    });
    await createTableReader({
      tables: { 4: tableOf(4), 6: tableOf(6) },
      generation: { current: async () => 7, prepare: () => void begun.push("number") },
      listings: { known: () => known, keep: unused },
      clock: createTestClock(),
    }).prepare(isFull);
    return begun;
  };
  const known = { generation: 7, texts: { 4: four.text, 6: six.text } };
  assert.deepEqual(await begunWith(known, true), ["number"]);
  assert.deepEqual(await begunWith(null, true), ["list 4", "list 6"]);
  assert.deepEqual(await begunWith(null, false), ["session 4", "session 6"]);
});
