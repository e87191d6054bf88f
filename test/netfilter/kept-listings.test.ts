import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe, test } from "node:test";
import { createKeptListings } from "../../src/netfilter/kept-listings.ts";

const texts = { 4: "-P INPUT ACCEPT\n-A INPUT -j DROP\n", 6: "-P INPUT ACCEPT\n" };
const listings = { generation: 7, texts };

/** A file in memory, and how often it was written and removed. */
function createFile(text?: string) {
  const file = { text, writes: 0, removals: 0, fault: false };
  return {
    file,
    read: () => file.text,
    write: async (next: string) => {
      if (file.fault) throw new Error("ENOSPC");
      file.text = next;
      file.writes += 1;
    },
    remove: async () => {
      file.text = undefined;
      file.removals += 1;
    },
  };
}

const keptIn = (
  file: ReturnType<typeof createFile>,
  place = "boot net:[1]",
  onFailure: (error: unknown) => void = assert.ifError,
) => createKeptListings({ file, place, onFailure });

test("what was kept is known to the next start in the same place, and to no other", async () => {
  const file = createFile();
  await keptIn(file).keep(listings);
  assert.deepEqual(keptIn(file).known(), listings);
  assert.equal(keptIn(file, "boot net:[2]").known(), null);
});

test("nothing is known before something was kept, nor of a text that is not whole", async () => {
  const file = createFile();
  assert.equal(keptIn(file).known(), null);
  await keptIn(file).keep(listings);
  const whole = file.file.text ?? "";
  for (let length = 0; length < whole.length; length += 1) {
    file.file.text = whole.slice(0, length);
    assert.equal(keptIn(file).known(), null, `${length} characters`);
  }
  for (const heading of [
    "{",
    "{}",
    '{"place":"boot net:[1]","generation":7}',
    '{"place":"boot net:[1]","generation":7,"lengths":[1,2]}',
  ]) {
    const text = `${heading}\n${texts[4]}${texts[6]}`;
    file.file.text = `${hash("sha1", text)}\n${text}`;
    assert.equal(keptIn(file).known(), null, heading);
  }
});

test("the same generation is kept once, another one instead of it", async () => {
  const file = createFile();
  const kept = keptIn(file);
  await kept.keep(listings);
  await kept.keep(listings);
  await kept.keep({ ...listings, generation: 8 });
  assert.equal(file.file.writes, 2);
  assert.equal(keptIn(file).known()?.generation, 8);
  const next = keptIn(file);
  next.known();
  await next.keep({ ...listings, generation: 8 });
  assert.equal(file.file.writes, 2);
});

test("what is of no use any more is removed, once", async () => {
  const file = createFile();
  await keptIn(file).keep(listings);
  const kept = keptIn(file);
  kept.known();
  await kept.keep(null);
  await kept.keep(null);
  assert.deepEqual([file.file.text, file.file.removals, kept.known()], [undefined, 1, null]);
});

test("what is kept while something else is being written comes after it", async () => {
  const file = createFile();
  const kept = keptIn(file);
  const writes = [kept.keep(listings), kept.keep(null), kept.keep({ ...listings, generation: 8 }), kept.keep(null)];
  assert.equal(file.file.removals, 0);
  await Promise.all(writes);
  assert.deepEqual([file.file.text, file.file.writes, file.file.removals], [undefined, 2, 2]);
});

test("of a text that can't be used nothing is left once it is known that there is nothing else to keep", async () => {
  const file = createFile("something");
  const kept = keptIn(file);
  assert.equal(kept.known(), null);
  await kept.keep(null);
  assert.equal(file.file.text, undefined);
});

describe("a text that can't be written", () => {
  test("is told once, tried again, and told again when it could be written meanwhile", async () => {
    const file = createFile();
    const failures: string[] = [];
    const kept = keptIn(file, "here", (error) => failures.push(String(error)));
    file.file.fault = true;
    await kept.keep(listings);
    await kept.keep(listings);
    assert.deepEqual(failures, ["Error: ENOSPC"]);
    file.file.fault = false;
    await kept.keep(listings);
    assert.equal(file.file.writes, 1);
    file.file.fault = true;
    await kept.keep({ ...listings, generation: 8 });
    assert.equal(failures.length, 2);
  });
});
