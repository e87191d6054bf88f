import assert from "node:assert/strict";
import { test } from "node:test";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { assertProblem, listed, nextCursor, startApi } from "./service.ts";

test("sources are listed by open connections, most first, then by address, with their distribution", async (t) => {
  const api = await startApi(t);
  api.connections.open("203.0.113.10", 3306, 2);
  api.connections.open("203.0.113.9", 22, 2);
  api.connections.open("2001:db8::5", 3306, 7);
  api.connections.open("198.51.100.7", 3306);
  const { status, body } = await api.send("GET", "/v1/connections");
  assert.equal(status, 200);
  assert.deepEqual(body, {
    items: [
      { source: "2001:db8::5", connections: 7 },
      { source: "203.0.113.9", connections: 2 },
      { source: "203.0.113.10", connections: 2 },
      { source: "198.51.100.7", connections: 1 },
    ],
    nextCursor: null,
    distribution: { sources: 4, connections: 12, max: 7, p99: 7, p50: 2 },
  });
  const mysql = await api.send("GET", "/v1/connections?port=3306&limit=1");
  assert.partialDeepStrictEqual(mysql.body, {
    items: [{ source: "2001:db8::5" }],
    distribution: { sources: 3, connections: 10 },
  });
  assert.deepEqual((await api.send("GET", "/v1/connections?port=443")).body, {
    items: [],
    nextCursor: null,
    distribution: { sources: 0, connections: 0, max: 0, p99: 0, p50: 0 },
  });
});

test("a page begins after the count and the address that the one before ended with, whatever became of them", async (t) => {
  const api = await startApi(t);
  for (const host of [1, 2, 3, 4, 5, 6]) api.connections.open(`203.0.113.${host}`, 22, 3);
  api.connections.open("203.0.113.7", 22);
  const first = await api.send("GET", "/v1/connections?limit=3");
  assert.deepEqual(listed(first, "source"), ["203.0.113.1", "203.0.113.2", "203.0.113.3"]);
  await api.connections.sever(["203.0.113.3/32", "203.0.113.5/32"]);
  api.connections.open("198.51.100.7", 22, 3);
  api.connections.open("198.51.100.8", 22, 9);
  const second = await api.send("GET", `/v1/connections?limit=3&cursor=${nextCursor(first)}`);
  assert.deepEqual(listed(second, "source"), ["203.0.113.4", "203.0.113.6", "203.0.113.7"]);
  assert.partialDeepStrictEqual(second.body, { nextCursor: null });
});

for (const [query, pointer, says] of [
  ["port=0", "port", "must be an integer from 1 to 65535"],
  ["port=65536", "port", "must be an integer from 1 to 65535"],
  ["port=ssh", "port", "must be an integer from 1 to 65535"],
  ["port=022", "port", "must be an integer from 1 to 65535"],
  ["port=22&port=80", "port", "must be given once"],
  ["limit=0", "limit", "must be an integer from 1 to 1000"],
  ["cursor=abc", "cursor", "must be the nextCursor of an earlier answer of this route with the same filters"],
  ["source=203.0.113.9", "source", "is not a parameter of this route; known are limit, cursor, port"],
] as const) {
  test(`the list of sources refuses ?${query}`, async (t) => {
    const api = await startApi(t);
    assert.deepEqual(assertProblem(await api.send("GET", `/v1/connections?${query}`), 400, "invalid-input", [pointer]), [says]);
  });
}

test("a position belongs to one port", async (t) => {
  const api = await startApi(t);
  for (const host of [1, 2]) api.connections.open(`203.0.113.${host}`, 22);
  const cursor = nextCursor(await api.send("GET", "/v1/connections?limit=1&port=22"));
  assert.equal((await api.send("GET", `/v1/connections?port=22&cursor=${cursor}`)).status, 200);
  for (const url of [`/v1/connections?cursor=${cursor}`, `/v1/connections?port=80&cursor=${cursor}`, `/v1/bans?cursor=${cursor}`])
    assertProblem(await api.send("GET", url), 400, "invalid-input", ["cursor"]);
});

test("connections that can't be read now are 503", async (t) => {
  const api = await startApi(t);
  api.connections.fail(new EnforcementDelayed("/proc/net/nf_conntrack is missing"));
  assertProblem(await api.send("GET", "/v1/connections"), 503, "not-ready");
});
