import assert from "node:assert/strict";
import { test } from "node:test";
import { assertProblem, startApi } from "./service.ts";

const json = { "content-type": "application/json" };
const writes = [
  ["POST", "/v1/policies"],
  ["PUT", "/v1/policies/mysql"],
  ["PATCH", "/v1/policies/mysql"],
  ["POST", "/v1/bans"],
  ["PUT", "/v1/bans/203.0.113.9"],
  ["POST", "/v1/bans/batch"],
] as const;

test("what is no JSON is refused by every write", async (t) => {
  const api = await startApi(t);
  for (const [method, url] of writes) {
    for (const body of ["{", "{'a': 1}", "{} {}", '{"a": 01}', " ", "undefined"]) {
      assertProblem(await api.send(method, url, body), 400, "malformed-json");
    }
  }
  assert.equal(api.store.revision(), 0);
});

test("a missing body is refused by every write, with and without a media type", async (t) => {
  const api = await startApi(t);
  for (const [method, url] of writes) {
    assertProblem(await api.send(method, url), 400, "malformed-json");
    assertProblem(await api.send(method, url, undefined, json), 400, "malformed-json");
    assertProblem(await api.send(method, url, ""), 400, "malformed-json");
  }
});

test("a body that is no object is refused by every write", async (t) => {
  const api = await startApi(t);
  for (const [method, url] of writes) {
    for (const body of ["[]", '"text"', "5", "true", "null"])
      assertProblem(await api.send(method, url, body), 400, "invalid-input", [""]);
  }
});

test("bytes that are not UTF-8 are refused rather than replaced", async (t) => {
  const api = await startApi(t);
  const body = Buffer.concat([Buffer.from('{"reason": "'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
  assertProblem(await api.send("PUT", "/v1/bans/203.0.113.9", body), 400, "malformed-json");
});

test("another media type, none, or a compressed body is 415", async (t) => {
  const api = await startApi(t);
  for (const [method, url] of writes) {
    for (const type of [
      "application/x-www-form-urlencoded",
      "text/plain",
      "application/json-patch+json",
      "nonsense",
      "text/json",
    ]) {
      assertProblem(await api.send(method, url, "{}", { "content-type": type }), 415, "unsupported-media-type");
    }
    assertProblem(await api.send(method, url, "{}", { ...json, "content-encoding": "gzip" }), 415, "unsupported-media-type");
  }
});

test("a media type may carry its charset", async (t) => {
  const api = await startApi(t);
  const answer = await api.send("PUT", "/v1/bans/203.0.113.9", "{}", { "content-type": "Application/JSON; charset=utf-8" });
  assert.equal(answer.status, 201);
});

test("a body of 1 MB is 413, and one of exactly 64 KiB is read", async (t) => {
  const api = await startApi(t);
  const padded = (length: number) => `${" ".repeat(length - 2)}{}`;
  for (const [method, url] of writes.filter(([, path]) => path !== "/v1/bans/batch")) {
    assertProblem(await api.send(method, url, padded(1_048_576)), 413, "payload-too-large");
    assertProblem(await api.send(method, url, padded(65_537)), 413, "payload-too-large");
  }
  assert.equal((await api.send("PUT", "/v1/bans/203.0.113.9", padded(65_536))).status, 201);
});

test("DELETE takes no body, but a media type that a client adds out of habit is nothing", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", "/v1/bans/203.0.113.9", {});
  assertProblem(await api.send("DELETE", "/v1/bans/203.0.113.9", { reason: "?" }), 400, "invalid-input", [""]);
  assertProblem(await api.send("DELETE", "/v1/policies/mysql", {}), 400, "invalid-input", [""]);
  assert.equal((await api.send("DELETE", "/v1/bans/203.0.113.9", undefined, json)).status, 204);
});
