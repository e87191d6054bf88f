import assert from "node:assert/strict";
import { test } from "node:test";
import { assertProblem, startApi } from "./service.ts";

const policy = { ports: [3306], maxConnections: 2 };

for (const [query, pointer, says] of [
  ["limit=abc", "limit", "must be an integer from 1 to 1000"],
  ["limit=0", "limit", "must be an integer from 1 to 1000"],
  ["limit=1001", "limit", "must be an integer from 1 to 1000"],
  ["limit=1e2", "limit", "must be an integer from 1 to 1000"],
  ["limit=%205", "limit", "must be an integer from 1 to 1000"],
  ["limit=05", "limit", "must be an integer from 1 to 1000"],
  ["limit=", "limit", "must be an integer from 1 to 1000"],
  ["limit=1&limit=2", "limit", "must be given once"],
  ["cursor=%3D", "cursor", "must be the nextCursor of an earlier answer"],
  ["cursor=abc", "cursor", "must be the nextCursor of an earlier answer of this route with the same filters"],
  ["Limit=5", "Limit", "is not a parameter of this route; known are limit, cursor"],
] as const) {
  test(`a list refuses ?${query}`, async (t) => {
    const api = await startApi(t);
    for (const path of ["/v1/policies", "/v1/bans"]) {
      const [message = ""] = assertProblem(await api.send("GET", `${path}?${query}`), 400, "invalid-input", [pointer]);
      assert.ok(message.startsWith(says), message);
    }
  });
}

test("a parameter that a route does not know is an error, so that no dry run becomes a real one", async (t) => {
  const api = await startApi(t);
  const [message] = assertProblem(await api.send("PUT", "/v1/policies/mysql?dryrun=true", policy), 400, "invalid-input", [
    "dryrun",
  ]);
  assert.equal(message, "is not a parameter of this route; known are dryRun, allowLockout, confirmWithin");
  assertProblem(await api.send("DELETE", "/v1/bans/203.0.113.9?dry-run=true"), 400, "invalid-input", ["dry-run"]);
  assertProblem(await api.send("DELETE", "/v1/bans/203.0.113.9?grace=600"), 400, "invalid-input", ["grace"]);
  assertProblem(await api.send("PUT", "/v1/bans/203.0.113.9?confirmWithin=60", {}), 400, "invalid-input", ["confirmWithin"]);
  assertProblem(await api.send("POST", "/v1/bans/batch?check=true", { delete: ["203.0.113.9"] }), 400, "invalid-input", [
    "check",
  ]);
  for (const method of ["POST", "DELETE"] as const)
    assertProblem(await api.send(method, "/v1/confirmations/none?dryRun=true"), 400, "invalid-input", ["dryRun"]);
  for (const path of ["/v1/check/203.0.113.9", "/v1/status", "/v1/recent/DEFAULT"])
    assertProblem(await api.send("GET", `${path}?limit=5`), 400, "invalid-input", ["limit"]);
  assertProblem(await api.send("GET", "/v1/bans?by=somebody"), 400, "invalid-input", ["by"]);
  assertProblem(await api.send("GET", "/v1/bans?policy=A%20B"), 400, "invalid-input", ["policy"]);
  assert.equal(api.store.revision(), 0);
});
