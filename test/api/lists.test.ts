import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createCursors } from "../../src/api/lists/cursors.ts";
import { pageOf, type Walk } from "../../src/api/lists/pages.ts";
import { ApiProblem } from "../../src/api/problems/problem.ts";
import { assertProblem, nextCursor, startApi } from "./service.ts";

const cursors = createCursors("secret");
const byText: Walk<string> = { scope: ["test"], keyOf: (item) => item, isAfter: (key) => (item) => item > key };

test("pages of any size make up the list", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string()), fc.integer({ min: 1, max: 7 }), (texts, limit) => {
      const items = texts.filter((text) => text.isWellFormed()).sort();
      const walked: string[] = [];
      let cursor: string | null | undefined;
      while (cursor !== null) {
        const page = pageOf(items, { limit, ...(cursor === undefined ? {} : { cursor }) }, byText, cursors);
        assert.ok(page.items.length <= limit);
        walked.push(...page.items);
        cursor = page.nextCursor;
      }
      assert.deepEqual(walked, items);
    }),
  );
});

test("a list has 100 items a page unless told otherwise", () => {
  const items = Array.from({ length: 101 }, (_, index) => String(index + 1000));
  assert.equal(pageOf(items, {}, byText, cursors).items.length, 100);
});

test("a position is read by whoever has the secret, over a restart too, and by no one else", () => {
  const cursor = cursors.encode("list", "key");
  assert.equal(createCursors("secret").decode("list", cursor), "key");
  assert.throws(() => createCursors("another").decode("list", cursor), ApiProblem);
  assert.throws(() => cursors.decode("another list", cursor), ApiProblem);
});

test("a position with any character changed, missing or added is refused", () => {
  const cursor = cursors.encode("list", "mysql");
  for (let index = 0; index < cursor.length; index += 1) {
    const changed = cursor.slice(0, index) + (cursor[index] === "A" ? "B" : "A") + cursor.slice(index + 1);
    assert.throws(() => cursors.decode("list", changed), ApiProblem);
    assert.throws(() => cursors.decode("list", cursor.slice(0, index)), ApiProblem);
  }
  assert.throws(() => cursors.decode("list", `${cursor}=`), ApiProblem);
  assert.throws(() => cursors.decode("list", `${cursor}A`), ApiProblem);
});

test("a position belongs to its list and its filters", async (t) => {
  const api = await startApi(t);
  for (const name of ["a", "b"]) await api.send("PUT", `/v1/policies/${name}`, { ports: [80], maxConnections: 1 });
  for (const host of [1, 2, 3]) await api.send("PUT", `/v1/bans/203.0.113.${host}`, {});
  const policyCursor = nextCursor(await api.send("GET", "/v1/policies?limit=1"));
  const banCursor = nextCursor(await api.send("GET", "/v1/bans?limit=1&by=operator"));
  assert.equal((await api.send("GET", `/v1/bans?cursor=${banCursor}&by=operator&limit=9`)).status, 200);
  for (const url of [
    `/v1/bans?cursor=${policyCursor}`,
    `/v1/policies?cursor=${banCursor}`,
    `/v1/bans?cursor=${banCursor}`,
    `/v1/bans?cursor=${banCursor}&by=policy`,
    `/v1/bans?cursor=${banCursor}&by=operator&within=203.0.113.0/24`,
    `/v1/policies/a/offenders?cursor=${policyCursor}`,
  ]) {
    assertProblem(await api.send("GET", url), 400, "invalid-input", ["cursor"]);
  }
});
