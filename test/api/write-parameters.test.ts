import assert from "node:assert/strict";
import { test } from "node:test";
import { assertProblem, startApi } from "./service.ts";

const policy = { ports: [3306], maxConnections: 2 };
const policyWrites = [
  ["POST", "/v1/policies", { name: "mysql", ...policy }],
  ["PUT", "/v1/policies/mysql", policy],
  ["PATCH", "/v1/policies/mysql", {}],
  ["DELETE", "/v1/policies/mysql", undefined],
] as const;
const banWrites = [
  ["POST", "/v1/bans", { address: "203.0.113.9" }],
  ["PUT", "/v1/bans/203.0.113.9", {}],
  ["DELETE", "/v1/bans/203.0.113.9", undefined],
  ["POST", "/v1/bans/batch", { delete: ["203.0.113.9"] }],
] as const;

for (const name of ["dryRun", "allowLockout"]) {
  for (const [query, says] of [
    [`${name}=yes`, "must be true or false"],
    [`${name}=1`, "must be true or false"],
    [`${name}=0`, "must be true or false"],
    [`${name}=`, "must be true or false"],
    [name, "must be true or false"],
    [`${name}=True`, "must be true or false"],
    [`${name}=%20true`, "must be true or false"],
    [`${name}=null`, "must be true or false"],
    [`${name}=true&${name}=true`, "must be given once"],
    [`${name}=true&${name}=false`, "must be given once"],
  ] as const) {
    test(`every write refuses ?${query}, and nothing is done`, async (t) => {
      const api = await startApi(t);
      for (const [method, url, body] of [...policyWrites, ...banWrites]) {
        const answer = await api.send(method, `${url}?${query}`, body);
        const [message] = assertProblem(answer, 400, "invalid-input", [name]);
        assert.equal(message, says);
        assert.equal(answer.headers["connlimitd-changed"], "false");
      }
      assert.equal(api.store.revision(), 0);
      assert.equal(api.firewall.plans.length, 0);
    });
  }
}

for (const value of [
  "5",
  "9",
  "0",
  "-60",
  "3601",
  "1e9",
  "1e2",
  "abc",
  "",
  "60.0",
  "060",
  "+60",
  "%2060",
  "60s",
  "null",
  "true",
]) {
  test(`every write of a policy refuses to wait ${JSON.stringify(value)} for a confirmation, a dry run too`, async (t) => {
    const api = await startApi(t);
    for (const [method, url, body] of policyWrites) {
      for (const more of ["", "&dryRun=true"]) {
        const answer = await api.send(method, `${url}?confirmWithin=${value}${more}`, body);
        const [message] = assertProblem(answer, 400, "invalid-input", ["confirmWithin"]);
        assert.equal(message, "must be an integer from 10 to 3600");
      }
    }
    assert.equal(api.store.revision(), 0);
  });
}

test("confirmWithin is given once, and to policies alone", async (t) => {
  const api = await startApi(t);
  for (const [method, url, body] of policyWrites) {
    const answer = await api.send(method, `${url}?confirmWithin=60&confirmWithin=60`, body);
    const [message] = assertProblem(answer, 400, "invalid-input", ["confirmWithin"]);
    assert.equal(message, "must be given once");
  }
  for (const [method, url, body] of banWrites) {
    const answer = await api.send(method, `${url}?confirmWithin=60`, body);
    const [message = ""] = assertProblem(answer, 400, "invalid-input", ["confirmWithin"]);
    assert.match(message, /is not a parameter of this route/);
  }
});

test("what only reads has no dry run", async (t) => {
  const api = await startApi(t);
  for (const url of ["/v1/policies", "/v1/policies/mysql", "/v1/bans", "/v1/bans/203.0.113.9", "/v1/confirmations"])
    assertProblem(await api.send("GET", `${url}?dryRun=true`), 400, "invalid-input", ["dryRun"]);
});
