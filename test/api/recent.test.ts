import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { test } from "node:test";
import type { RecentList } from "../../src/domain/inspection.ts";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { type Api, adminToken, assertProblem, listed, nextCursor, startApi } from "./service.ts";

const at = Date.UTC(2026, 10, 22, 8);
const badList: RecentList = {
  name: "DEFAULT",
  own: false,
  capacity: 100,
  entries: [
    { address: "203.0.113.9", lastSeenAt: at, seenAt: [at - 1500, at] },
    { address: "198.51.100.7", lastSeenAt: at - 60_000, seenAt: [at - 60_000] },
  ],
};

function listNamed(name: string): RecentList {
  return { ...badList, name, entries: [] };
}

/** The status of a path that is sent as it is: clients, and `inject` too, resolve dot segments. */
async function statusOf(api: Api, path: string): Promise<number | undefined> {
  if (!api.app.server.listening) await api.app.listen({ host: "127.0.0.1", port: 0 });
  const address = api.app.server.address();
  assert.ok(typeof address === "object" && address !== null);
  const sent = request({ host: "127.0.0.1", port: address.port, path, headers: { authorization: `Bearer ${adminToken}` } }).end();
  const [response] = await once(sent, "response");
  response.resume();
  return response.statusCode;
}

test("every xt_recent list on the host is listed, those of others too", async (t) => {
  const api = await startApi(t);
  api.inspector.setRecentLists([badList, { ...listNamed("cld4-operator"), own: true }]);
  const { status, body } = await api.send("GET", "/v1/recent");
  assert.equal(status, 200);
  assert.deepEqual(body, {
    items: [
      { name: "DEFAULT", own: false, entries: 2, capacity: 100 },
      { name: "cld4-operator", own: true, entries: 0, capacity: 100 },
    ],
    nextCursor: null,
  });
});

test("lists come in pages, which others that come and go do not disturb", async (t) => {
  const api = await startApi(t);
  api.inspector.setRecentLists(["a", "b", "d"].map(listNamed));
  const first = await api.send("GET", "/v1/recent?limit=2");
  assert.deepEqual(listed(first, "name"), ["a", "b"]);
  api.inspector.setRecentLists(["A", "c", "d"].map(listNamed));
  const second = await api.send("GET", `/v1/recent?limit=2&cursor=${nextCursor(first)}`);
  assert.deepEqual(listed(second, "name"), ["c", "d"]);
  assertProblem(await api.send("GET", "/v1/recent?cursor=abc"), 400, "invalid-input", ["cursor"]);
  assertProblem(await api.send("GET", "/v1/recent?limit=0"), 400, "invalid-input", ["limit"]);
});

test("a list shows whom it has and when they were seen", async (t) => {
  const api = await startApi(t);
  api.inspector.setRecentLists([badList]);
  const { status, body } = await api.send("GET", "/v1/recent/DEFAULT");
  assert.equal(status, 200);
  assert.deepEqual(body, {
    name: "DEFAULT",
    own: false,
    capacity: 100,
    entries: [
      {
        address: "203.0.113.9",
        lastSeenAt: "2026-11-22T08:00:00.000Z",
        seenAt: ["2026-11-22T07:59:58.500Z", "2026-11-22T08:00:00.000Z"],
      },
      { address: "198.51.100.7", lastSeenAt: "2026-11-22T07:59:00.000Z", seenAt: ["2026-11-22T07:59:00.000Z"] },
    ],
  });
});

test("a name may hold nearly any character", async (t) => {
  const api = await startApi(t);
  const names = ["bad guys", "näme 😀", "a?b#c", "100%", "%2e", "-j", "x\ny", "__proto__", ".hidden", "...", "a\\b", "$(reboot)"];
  api.inspector.setRecentLists(names.map(listNamed));
  for (const name of names) {
    const answer = await api.send("GET", `/v1/recent/${encodeURIComponent(name)}`);
    assert.equal(answer.status, 200, name);
    assert.partialDeepStrictEqual(answer.body, { name });
  }
});

test("a list that there is not is 404", async (t) => {
  const api = await startApi(t);
  api.inspector.setRecentLists([badList]);
  for (const name of ["default", "DEFAULT%20", "other", "__proto__", "constructor"])
    assertProblem(await api.send("GET", `/v1/recent/${name}`), 404, "not-found");
});

test("a name that leads elsewhere is refused, and nobody is asked for it", async (t) => {
  const api = await startApi(t);
  api.inspector.setRecentLists([badList]);
  for (const [path, status] of [
    ["/v1/recent/..", 404],
    ["/v1/recent/.", 404],
    ["/v1/recent/%2e%2e", 404],
    ["/v1/recent/../x", 404],
    ["/v1/recent/../recent/DEFAULT", 404],
    ["/v1/recent/..%2Fx", 404],
    ["/v1/recent/..%2f..%2f..%2f..%2fetc%2fpasswd", 404],
    ["/v1/recent/%2Fetc%2Fpasswd", 404],
    ["/v1/recent/DEFAULT%2F..%2FDEFAULT", 404],
    ["/v1/recent/DEFAULT%00", 404],
    ["/v1/recent/%00", 404],
    ["/v1/recent/%ff%fe", 400],
    ["/v1/recent/%zz", 400],
    [`/v1/recent/${"a".repeat(1025)}`, 414],
  ] as const) {
    assert.equal(await statusOf(api, path), status, path);
  }
  assert.deepEqual(api.inspector.asked, []);
  assertProblem(await api.send("GET", "/v1/recent/..%2Fx"), 404, "not-found");
  assertProblem(await api.send("GET", "/v1/recent/DEFAULT%00"), 404, "not-found");
});

test("times that can't be told now are 503 with the reason", async (t) => {
  const api = await startApi(t);
  api.inspector.fail(new EnforcementDelayed("the kernel's clock can't be read"));
  for (const path of ["/v1/recent", "/v1/recent/DEFAULT"]) {
    const answer = await api.send("GET", path);
    assertProblem(answer, 503, "not-ready");
    assert.match(JSON.stringify(answer.body), /the kernel's clock can't be read/);
    assert.match(String(answer.headers["retry-after"]), /^[1-9][0-9]*$/);
  }
});
