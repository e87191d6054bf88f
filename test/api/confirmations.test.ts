import assert from "node:assert/strict";
import { test } from "node:test";
import { isRecord } from "../../src/api/requests/schema-words.ts";
import type { Answer } from "./documented-answer.ts";
import { type Api, assertProblem, ciToken, listed, nextCursor, startApi } from "./service.ts";

const policy = { ports: [3306], maxConnections: 2 };
const revertsAt = "2026-11-22T08:01:00.000Z";

function idIn({ body }: Answer): string {
  const confirmation = isRecord(body) ? body["confirmation"] : undefined;
  assert.ok(isRecord(confirmation) && typeof confirmation["id"] === "string", "the answer has a confirmation");
  return confirmation["id"];
}

/** A policy mysql with a limit of 2 that was changed to 9 for a minute. */
async function startChanged(t: Parameters<typeof startApi>[0]): Promise<{ readonly api: Api; readonly id: string }> {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/mysql", policy);
  const changed = await api.send("PUT", "/v1/policies/mysql?confirmWithin=60", { ...policy, maxConnections: 9 });
  return { api, id: idIn(changed) };
}

for (const [method, url, body, status] of [
  ["POST", "/v1/policies", { name: "mysql", ...policy }, 201],
  ["PUT", "/v1/policies/mysql", policy, 201],
  ["PUT", "/v1/policies/web", { ...policy, mode: "off" }, 200],
  ["PATCH", "/v1/policies/web", { maxConnections: 9 }, 200],
  ["DELETE", "/v1/policies/web", undefined, 200],
] as const) {
  test(`${method} ${url} with confirmWithin is done at once, and answers until when it can be kept`, async (t) => {
    const api = await startApi(t);
    await api.send("PUT", "/v1/policies/web", policy);
    const answer = await api.send(method, `${url}?confirmWithin=60`, body);
    assert.equal(answer.status, status);
    assert.equal(answer.headers["connlimitd-changed"], "true");
    const id = idIn(answer);
    assert.ok(isRecord(answer.body));
    assert.deepEqual(answer.body["confirmation"], { id, revertsAt });
    const [stored] = api.store.confirmations();
    assert.equal(stored?.id, id);
    if (method === "DELETE") assert.deepEqual(Object.keys(answer.body), ["confirmation"]);
    const read = await api.send("GET", "/v1/policies/web");
    assert.equal(read.status, method === "DELETE" ? 404 : 200);
    assert.ok(isRecord(read.body) && !("confirmation" in read.body), "it belongs to the write alone");
  });
}

test("a change that the kernel has not yet taken has its confirmation too", async (t) => {
  const api = await startApi(t);
  api.enforcer.delay("the xtables lock is held");
  const written = await api.send("PUT", "/v1/policies/mysql?confirmWithin=60", policy);
  assert.equal(written.status, 202);
  await api.send("POST", `/v1/confirmations/${idIn(written)}`);
  const removed = await api.send("DELETE", "/v1/policies/mysql?confirmWithin=60");
  assert.equal(removed.status, 202);
  assert.partialDeepStrictEqual(removed.body, {
    enforcement: { state: "pending" },
    confirmation: { id: idIn(removed), revertsAt },
  });
});

test("a write that changes nothing has nothing to take back", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/mysql", policy);
  const answer = await api.send("PUT", "/v1/policies/mysql?confirmWithin=60", policy);
  assert.equal(answer.headers["connlimitd-changed"], "false");
  assert.partialDeepStrictEqual(answer.body, { confirmation: null });
  assert.equal(api.store.confirmations().length, 0);
});

test("a dry run arms nothing, and says so", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", "/v1/policies/web", policy);
  const put = await api.send("PUT", "/v1/policies/mysql?confirmWithin=60&dryRun=true", policy);
  assert.partialDeepStrictEqual(put.body, { dryRun: true, result: { name: "mysql", confirmation: null } });
  const removal = await api.send("DELETE", "/v1/policies/web?confirmWithin=60&dryRun=true");
  assert.partialDeepStrictEqual(removal.body, { dryRun: true, changed: true, result: { confirmation: null } });
  assert.equal(api.store.confirmations().length, 0);
});

test("POST keeps the change, once", async (t) => {
  const { api, id } = await startChanged(t);
  const kept = await api.send("POST", `/v1/confirmations/${id}`);
  assert.equal(kept.status, 200);
  assert.equal(kept.headers["connlimitd-changed"], "true");
  assert.deepEqual(kept.body, { id, policy: "mysql", actor: "admin", createdAt: "2026-11-22T08:00:00.000Z", revertsAt });
  api.clock.advance(60_000);
  await api.confirmations.revertDue(api.clock.now());
  assert.equal(api.store.policy("mysql")?.maxConnections, 9);
  const again = await api.send("POST", `/v1/confirmations/${id}`);
  assertProblem(again, 404, "not-found");
  assert.equal(again.headers["connlimitd-changed"], "false");
  assertProblem(await api.send("DELETE", `/v1/confirmations/${id}`), 404, "not-found");
});

test("DELETE undoes the change at once", async (t) => {
  const { api, id } = await startChanged(t);
  const undone = await api.send("DELETE", `/v1/confirmations/${id}`);
  assert.equal(undone.status, 204);
  assert.equal(undone.headers["connlimitd-changed"], "true");
  assert.partialDeepStrictEqual((await api.send("GET", "/v1/policies/mysql")).body, { maxConnections: 2, revision: 3 });
  assertProblem(await api.send("DELETE", `/v1/confirmations/${id}`), 410, "gone");
  assertProblem(await api.send("POST", `/v1/confirmations/${id}`), 410, "gone");
});

test("DELETE is 202 while the kernel still has the change", async (t) => {
  const { api, id } = await startChanged(t);
  api.enforcer.delay("the xtables lock is held");
  const undone = await api.send("DELETE", `/v1/confirmations/${id}`);
  assert.equal(undone.status, 202);
  assert.equal(undone.headers["connlimitd-changed"], "true");
  assert.deepEqual(undone.body, {
    enforcement: {
      state: "pending",
      message: "It is undone in the store; the kernel could not be reached yet, and the service keeps trying.",
    },
  });
  assert.equal(api.store.policy("mysql")?.maxConnections, 2);
});

test("from the deadline on it is too late to confirm, whether the revert is done or on its way", async (t) => {
  const { api, id } = await startChanged(t);
  api.clock.advance(60_000);
  const due = await api.send("POST", `/v1/confirmations/${id}`);
  assertProblem(due, 410, "gone");
  assert.equal(due.headers["connlimitd-changed"], "false");
  await api.confirmations.revertDue(api.clock.now());
  const reverted = await api.send("POST", `/v1/confirmations/${id}`);
  assertProblem(reverted, 410, "gone");
  assert.partialDeepStrictEqual(reverted.body, {
    detail: `The change of the policy mysql was undone at ${revertsAt}. Make it again to keep it.`,
  });
  assert.equal(api.store.policy("mysql")?.maxConnections, 2);
});

test("while a change is unconfirmed, every other write to the policy is a conflict that says so", async (t) => {
  const { api, id } = await startChanged(t);
  for (const [method, body] of [
    ["PUT", policy],
    ["PATCH", { maxConnections: 5 }],
    ["DELETE", undefined],
  ] as const) {
    const answer = await api.send(method, "/v1/policies/mysql", body);
    assertProblem(answer, 409, "unconfirmed");
    assert.match(
      JSON.stringify(answer.body),
      new RegExp(`by admin waits for its confirmation ${id} and is undone at ${revertsAt}`),
    );
    assert.equal(answer.headers["connlimitd-changed"], "false");
  }
  assert.equal((await api.send("PUT", "/v1/policies/web", policy)).status, 201, "other policies are not concerned");
  await api.send("POST", `/v1/confirmations/${id}`);
  assert.equal((await api.send("PATCH", "/v1/policies/mysql", { maxConnections: 5 })).status, 200);
});

test("an unknown id is 404, whatever it looks like", async (t) => {
  const { api } = await startChanged(t);
  for (const id of ["none", "mWzwPp5dTLq0MrYQzzzzzw", "..%2Fx", "%00", "%20", "1", "x".repeat(1000)]) {
    for (const method of ["POST", "DELETE"] as const)
      assertProblem(await api.send(method, `/v1/confirmations/${id}`), 404, "not-found");
  }
  assert.equal(api.store.confirmations().length, 1);
});

test("a confirmation takes no body, and no content type is needed or in the way", async (t) => {
  const { api, id } = await startChanged(t);
  for (const type of ["application/json", "text/plain"]) {
    const answer = await api.send("POST", `/v1/confirmations/${id}`, "{}", { "content-type": type });
    const [message] = assertProblem(answer, 400, "invalid-input", [""]);
    assert.equal(message, "must be left out");
  }
  for (const [type, status] of [
    ["no type", 415],
    ["text/plain", 404],
    ["application/json", 404],
  ] as const) {
    const headers = { "content-type": type, "content-length": "0" };
    assert.equal((await api.send("POST", "/v1/confirmations/none", undefined, headers)).status, status);
  }
  assert.equal((await api.send("POST", `/v1/confirmations/${id}`)).status, 200);
});

test("the list has what waits, the next to be undone first, in pages", async (t) => {
  const { api, id } = await startChanged(t);
  const asCi = { authorization: `Bearer ${ciToken}` };
  for (const [name, seconds] of [
    ["b", 3600],
    ["a", 10],
    ["c", 60],
  ] as const)
    await api.send("PUT", `/v1/policies/${name}?confirmWithin=${seconds}`, policy, asCi);
  const whole = await api.send("GET", "/v1/confirmations");
  const policies = listed(whole, "policy");
  assert.deepEqual([policies.at(0), policies.slice(1, 3).toSorted(), policies.at(3)], ["a", ["c", "mysql"], "b"]);
  assert.partialDeepStrictEqual(whole.body, {
    items: [
      { policy: "a", actor: "ci", createdAt: "2026-11-22T08:00:00.000Z", revertsAt: "2026-11-22T08:00:10.000Z" },
      { revertsAt },
      { revertsAt },
      { revertsAt: "2026-11-22T09:00:00.000Z" },
    ],
    nextCursor: null,
  });
  const first = await api.send("GET", "/v1/confirmations?limit=2");
  const second = await api.send("GET", `/v1/confirmations?limit=2&cursor=${nextCursor(first)}`);
  assert.deepEqual([...listed(first, "policy"), ...listed(second, "policy")], policies);
  await api.send("DELETE", `/v1/confirmations/${id}`);
  assert.deepEqual(
    listed(await api.send("GET", "/v1/confirmations"), "policy"),
    policies.filter((name) => name !== "mysql"),
  );
});

test("a body does not bring a confirmation", async (t) => {
  const api = await startApi(t);
  const [message] = assertProblem(
    await api.send("PUT", "/v1/policies/mysql", { ...policy, confirmation: null }),
    400,
    "invalid-input",
    ["/confirmation"],
  );
  assert.equal(message, "is read-only; leave it out");
});
