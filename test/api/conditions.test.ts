import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiProblem } from "../../src/api/problems/problem.ts";
import { readConditions } from "../../src/api/requests/conditions.ts";
import { assertProblem, startApi } from "./service.ts";

const policy = { ports: [3306], maxConnections: 2 };

test("If-Match is a list of entity tags, of which the weak ones never match", () => {
  for (const [header, ifMatch] of [
    ["*", "*"],
    [" * ", "*"],
    ['"a"', ["a"]],
    ['"a","b" , "c"', ["a", "b", "c"]],
    [', "a",, "b",', ["a", "b"]],
    ['W/"a", "b"', ["b"]],
    ['W/"a"', []],
    ['""', [""]],
    ['"a,b"', ["a,b"]],
  ] as const) {
    assert.deepEqual(readConditions({ "if-match": header }), { ifMatch }, header);
  }
});

test("what is no list of entity tags is refused", () => {
  for (const header of ["", "a", '"a', 'a"', '"a" "b"', '"a", *', "*, *", ",", 'w/"a"', '"a"b', '"a b"']) {
    assert.throws(() => readConditions({ "if-match": header }), ApiProblem, header);
  }
  for (const header of ['"a"', "", "**"]) assert.throws(() => readConditions({ "if-none-match": header }), ApiProblem, header);
});

test("a header that is no precondition is 400 and names itself", async (t) => {
  const api = await startApi(t);
  for (const [method, url, body] of [
    ["POST", "/v1/policies", { name: "mysql", ...policy }],
    ["PUT", "/v1/policies/mysql", policy],
    ["PATCH", "/v1/policies/mysql", {}],
    ["DELETE", "/v1/policies/mysql", undefined],
    ["POST", "/v1/bans", { address: "203.0.113.9" }],
    ["PUT", "/v1/bans/203.0.113.9", {}],
    ["DELETE", "/v1/bans/203.0.113.9", undefined],
  ] as const) {
    const [match] = assertProblem(await api.send(method, url, body, { "if-match": "a" }), 400, "invalid-input", ["If-Match"]);
    assert.match(match ?? "", /must be \* or a list of ETags in double quotes/);
    const [none] = assertProblem(await api.send(method, url, body, { "if-none-match": '"a"' }), 400, "invalid-input", [
      "If-None-Match",
    ]);
    assert.equal(none, "must be * on a write");
  }
  assert.equal(api.store.revision(), 0);
});

test("If-Match lets a write through only for the present version of a policy", async (t) => {
  const api = await startApi(t);
  assertProblem(await api.send("PUT", "/v1/policies/mysql", policy, { "if-match": "*" }), 412, "precondition-failed");
  const { headers } = await api.send("PUT", "/v1/policies/mysql", policy);
  const present = String(headers["etag"]);
  const other = { ports: [3306], maxConnections: 3 };
  for (const ifMatch of ['"other"', `W/${present}`]) {
    for (const method of ["PUT", "PATCH", "DELETE"] as const) {
      const answer = await api.send(method, "/v1/policies/mysql", method === "DELETE" ? undefined : other, {
        "if-match": ifMatch,
      });
      assertProblem(answer, 412, "precondition-failed");
      assert.equal(answer.headers["connlimitd-changed"], "false");
    }
  }
  assert.equal(api.store.policy("mysql")?.revision, 1);
  const replaced = await api.send("PUT", "/v1/policies/mysql", other, { "if-match": `"other", ${present}` });
  assert.equal(replaced.status, 200);
  assertProblem(await api.send("PATCH", "/v1/policies/mysql", {}, { "if-match": present }), 412, "precondition-failed");
  const etag = String(replaced.headers["etag"]);
  assert.equal((await api.send("PATCH", "/v1/policies/mysql", { mode: "off" }, { "if-match": etag })).status, 200);
  assert.equal((await api.send("DELETE", "/v1/policies/mysql", undefined, { "if-match": "*" })).status, 204);
});

test("If-Match lets a write through only for the present version of a ban", async (t) => {
  const api = await startApi(t);
  assertProblem(await api.send("PUT", "/v1/bans/203.0.113.9", {}, { "if-match": "*" }), 412, "precondition-failed");
  const { headers } = await api.send("PUT", "/v1/bans/203.0.113.9", {});
  const etag = String(headers["etag"]);
  assertProblem(
    await api.send("PUT", "/v1/bans/203.0.113.9", { reason: "x" }, { "if-match": '"other"' }),
    412,
    "precondition-failed",
  );
  assertProblem(
    await api.send("DELETE", "/v1/bans/203.0.113.9", undefined, { "if-match": `W/${etag}` }),
    412,
    "precondition-failed",
  );
  const read = await api.send("GET", "/v1/bans/203.0.113.9");
  assert.equal(read.headers["etag"], etag);
  assert.equal((await api.send("PUT", "/v1/bans/203.0.113.9", { reason: "x" }, { "if-match": etag })).status, 200);
  assertProblem(await api.send("DELETE", "/v1/bans/203.0.113.9", undefined, { "if-match": etag }), 412, "precondition-failed");
});

test("If-None-Match: * creates and never replaces", async (t) => {
  const api = await startApi(t);
  const unless = { "if-none-match": "*" };
  for (const [url, body, collection, item] of [
    ["/v1/policies/mysql", policy, "/v1/policies", { name: "mysql", ...policy }],
    ["/v1/bans/203.0.113.9", {}, "/v1/bans", { address: "203.0.113.9" }],
  ] as const) {
    assert.equal((await api.send("PUT", url, body, unless)).status, 201);
    assertProblem(await api.send("PUT", url, body, unless), 412, "precondition-failed");
    assertProblem(await api.send("POST", collection, item, unless), 412, "precondition-failed");
    assertProblem(await api.send("DELETE", url, undefined, unless), 412, "precondition-failed");
    assert.equal((await api.send("DELETE", url)).status, 204);
    assertProblem(await api.send("POST", collection, item, { "if-match": "*" }), 412, "precondition-failed");
    assert.equal((await api.send("POST", collection, item, unless)).status, 201);
    assertProblem(await api.send("POST", collection, item, { "if-match": "*" }), 409, "already-exists");
  }
});
