import assert from "node:assert/strict";
import { test } from "node:test";
import { assertProblem, listed, nextCursor, startApi } from "./service.ts";

const minimal = { ports: [3306], maxConnections: 2 };

test("offenders come newest first and in pages", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/mysql", minimal);
  const at = api.clock.now();
  api.firewall.setOffenders("mysql", [
    { source: "203.0.113.9", firstSeenAt: at - 2000, lastSeenAt: at - 2000, bannedUntil: at + 1000 },
    { source: "2001:db8:1:2::/64", firstSeenAt: at - 1000, lastSeenAt: at - 1000, bannedUntil: null },
    { source: "203.0.113.1", firstSeenAt: at - 2000, lastSeenAt: at - 2000, bannedUntil: null },
  ]);
  const first = await api.send("GET", "/v1/policies/mysql/offenders?limit=2");
  assert.partialDeepStrictEqual(first.body, {
    items: [
      {
        source: "2001:db8:1:2::/64",
        firstSeenAt: "2026-11-22T07:59:59.000Z",
        lastSeenAt: "2026-11-22T07:59:59.000Z",
        bannedUntil: null,
      },
      {
        source: "203.0.113.1",
        firstSeenAt: "2026-11-22T07:59:58.000Z",
        lastSeenAt: "2026-11-22T07:59:58.000Z",
        bannedUntil: null,
      },
    ],
  });
  const second = await api.send("GET", `/v1/policies/mysql/offenders?limit=2&cursor=${nextCursor(first)}`);
  assert.deepEqual(second.body, {
    items: [
      {
        source: "203.0.113.9",
        firstSeenAt: "2026-11-22T07:59:58.000Z",
        lastSeenAt: "2026-11-22T07:59:58.000Z",
        bannedUntil: "2026-11-22T08:00:01.000Z",
        outcome: "refused",
      },
    ],
    nextCursor: null,
  });
  assertProblem(await api.send("GET", "/v1/policies/web/offenders"), 404, "not-found");
});

for (const [mode, ban, outcome] of [
  ["enforce", null, "refused"],
  ["enforce", { seconds: 60 }, "banned"],
  ["observe", null, "would-be-refused"],
  ["observe", { seconds: 60 }, "would-be-banned"],
] as const) {
  test(`an offender of a policy that is to ${mode}, ${ban === null ? "without" : "with"} a ban, is ${outcome}`, async (t) => {
    const api = await startApi(t);
    await api.send("PUT", "/v1/policies/mysql", { ...minimal, mode, ban });
    api.firewall.setOffenders("mysql", [
      { source: "203.0.113.9", firstSeenAt: api.clock.now(), lastSeenAt: api.clock.now(), bannedUntil: null },
    ]);
    assert.deepEqual(listed(await api.send("GET", "/v1/policies/mysql/offenders"), "outcome"), [outcome]);
  });
}
