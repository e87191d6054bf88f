import assert from "node:assert/strict";
import { test } from "node:test";
import { createFailedAttempts } from "../../src/api/access/failed-attempts.ts";
import { createTestClock } from "../support/test-clock.ts";
import { type Api, assertProblem, ciToken, startApi } from "./service.ts";

const wrong = { authorization: "Bearer wrong" };

async function fail(api: Api, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1)
    assertProblem(await api.send("GET", "/v1/bans", undefined, wrong), 401, "unauthorized");
}

test("the eleventh failed authentication of a minute is 429 with the seconds that are left, whatever was wrong", async (t) => {
  const api = await startApi(t);
  await fail(api, 10);
  api.clock.advance(17_500);
  for (const [method, url, authorization] of [
    ["GET", "/v1/bans", "Bearer wrong"],
    ["PUT", "/v1/policies/mysql", "Bearer another"],
    ["GET", "/nowhere", "Basic YWRtaW46YWRtaW4="],
    ["GET", "/v1/policies/%zz", "Bearer wrong"],
  ] as const) {
    const answer = await api.send(method, url, undefined, { authorization });
    assertProblem(answer, 429, "too-many-failures");
    assert.equal(answer.headers["retry-after"], "43");
    assert.equal(answer.headers["www-authenticate"], undefined);
  }
  api.clock.advance(42_500);
  await fail(api, 10);
  assertProblem(await api.send("GET", "/v1/bans", undefined, wrong), 429, "too-many-failures");
});

test("a good token is served all the same, and does not start the count anew", async (t) => {
  const api = await startApi(t);
  await fail(api, 10);
  assert.equal((await api.send("GET", "/v1/bans")).status, 200);
  assertProblem(await api.send("GET", "/v1/bans", undefined, wrong), 429, "too-many-failures");
  assert.equal((await api.send("PUT", "/v1/bans/203.0.113.9", {})).status, 201);
});

test("who shows no token, or one with too few scopes, has failed nothing", async (t) => {
  const api = await startApi(t);
  for (let time = 0; time < 20; time += 1) {
    assertProblem(await api.send("GET", "/v1/bans", undefined, { authorization: "" }), 401, "unauthorized");
    assertProblem(
      await api.send("GET", "/v1/tokens", undefined, { authorization: `Bearer ${ciToken}` }),
      403,
      "insufficient-scope",
    );
  }
  await fail(api, 10);
});

test("an expired token that comes too often is not told from a wrong one", async (t) => {
  const api = await startApi(t);
  const made = await api.send("POST", "/v1/tokens", { name: "short", scopes: ["read"], expiresAt: "2026-11-22T08:00:01Z" });
  const secret = (made.body as { token: string }).token;
  api.clock.advance(1_000);
  await fail(api, 10);
  const answer = await api.send("GET", "/v1/bans", undefined, { authorization: `Bearer ${secret}` });
  assertProblem(answer, 429, "too-many-failures");
  assert.doesNotMatch(JSON.stringify(answer.body), /expired/);
});

test("each address is counted by itself", async (t) => {
  const api = await startApi(t);
  await fail(api, 10);
  api.setPeer("198.51.100.7");
  await fail(api, 10);
  api.setPeer("127.0.0.1");
  assertProblem(await api.send("GET", "/v1/bans", undefined, wrong), 429, "too-many-failures");
});

test("a failed authentication over a unix socket is none", async (t) => {
  const api = await startApi(t, { transport: "unix" });
  for (let time = 0; time < 12; time += 1) assert.equal((await api.send("GET", "/v1/bans", undefined, wrong)).status, 200);
});

test("a /64 of IPv6 is one source", () => {
  const attempts = createFailedAttempts(createTestClock());
  for (let host = 1; host <= 10; host += 1) assert.equal(attempts.note(`2001:db8:1:2::${host}`), undefined);
  assert.equal(attempts.note("2001:db8:1:2:ffff::1"), 60);
  assert.equal(attempts.note("2001:db8:1:3::1"), undefined);
});

test("the minute begins with the first failure and is not made longer by others", () => {
  const clock = createTestClock();
  const attempts = createFailedAttempts(clock);
  for (let count = 0; count < 10; count += 1) attempts.note("203.0.113.9");
  clock.advance(59_001);
  assert.equal(attempts.note("203.0.113.9"), 1);
  clock.advance(999);
  assert.equal(attempts.note("203.0.113.9"), undefined);
});

test("ten thousand sources are remembered; one more, and the first is forgotten", () => {
  const attempts = createFailedAttempts(createTestClock());
  const address = (index: number) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`;
  for (let index = 0; index < 10_000; index += 1) for (let count = 0; count < 10; count += 1) attempts.note(address(index));
  assert.equal(attempts.note(address(0)), 60);
  assert.equal(attempts.note("192.0.2.1"), undefined);
  assert.equal(attempts.note(address(0)), undefined, "it was forgotten, and is now remembered instead of the next");
  assert.equal(attempts.note(address(2)), 60);
});
