import assert from "node:assert/strict";
import { test } from "node:test";
import { assertProblem, startApi } from "./service.ts";

const path = "/v1/bans/203.0.113.9";

test("an address that is unbanned with a grace is spared by policies until it ends, and check shows it", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", path, {});
  const answer = await api.send("DELETE", `${path}?graceSeconds=600`);
  assert.equal(answer.status, 204);
  assert.equal(answer.headers["connlimitd-changed"], "true");
  assert.deepEqual(api.firewall.applied.graces, [{ address: "203.0.113.9", until: api.clock.now() + 600_000 }]);
  const { body } = await api.send("GET", "/v1/check/203.0.113.9");
  assert.partialDeepStrictEqual(body, { verdict: "allowed", graceUntil: "2026-11-22T08:10:00.000Z" });
});

test("without it there is no grace", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", path, {});
  await api.send("DELETE", path);
  assert.deepEqual(api.firewall.applied.graces, []);
});

test("a grace takes from a second to a year", async (t) => {
  const api = await startApi(t);
  for (const seconds of [1, 31_536_000]) {
    await api.send("PUT", path, {});
    assert.equal((await api.send("DELETE", `${path}?graceSeconds=${seconds}`)).status, 204);
  }
});

for (const text of ["0", "abc", "", "31536001", "-1", "1.5", "1e2", "060", "+60", "%2060", "true", "null"]) {
  test(`a grace of ${JSON.stringify(text)} seconds is refused, and the ban stays`, async (t) => {
    const api = await startApi(t);
    await api.send("PUT", path, {});
    const answer = await api.send("DELETE", `${path}?graceSeconds=${text}`);
    const [message] = assertProblem(answer, 400, "invalid-input", ["graceSeconds"]);
    assert.equal(message, "must be an integer from 1 to 31536000");
    assert.equal(answer.headers["connlimitd-changed"], "false");
    assert.equal((await api.send("GET", path)).status, 200);
  });
}

test("a grace is given once, with a ban to lift", async (t) => {
  const api = await startApi(t);
  const [message] = assertProblem(await api.send("DELETE", `${path}?graceSeconds=5&graceSeconds=5`), 400, "invalid-input", [
    "graceSeconds",
  ]);
  assert.equal(message, "must be given once");
  assertProblem(await api.send("DELETE", `${path}?graceSeconds=5`), 404, "not-found");
  assertProblem(await api.send("PUT", `${path}?graceSeconds=5`, {}), 400, "invalid-input", ["graceSeconds"]);
  assert.deepEqual(api.store.graces(), []);
});
