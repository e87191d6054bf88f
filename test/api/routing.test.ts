import assert from "node:assert/strict";
import { METHODS } from "node:http";
import { test } from "node:test";
import { assertProblem, startApi } from "./service.ts";

const allowed = {
  "/v1/policies": ["GET", "HEAD", "POST"],
  "/v1/policies/mysql": ["DELETE", "GET", "HEAD", "PATCH", "PUT"],
  "/v1/policies/mysql/offenders": ["GET", "HEAD"],
  "/v1/confirmations": ["GET", "HEAD"],
  "/v1/confirmations/none": ["DELETE", "POST"],
  "/v1/bans": ["GET", "HEAD", "POST"],
  "/v1/bans/203.0.113.9": ["DELETE", "GET", "HEAD", "PUT"],
  "/v1/bans/batch": ["POST"],
  "/v1/check/203.0.113.9": ["GET", "HEAD"],
  "/v1/connections": ["GET", "HEAD"],
  "/v1/status": ["GET", "HEAD"],
  "/v1/recent": ["GET", "HEAD"],
  "/v1/recent/DEFAULT": ["GET", "HEAD"],
  "/livez": ["GET", "HEAD"],
  "/readyz": ["GET", "HEAD"],
  "/problems/lockout": ["GET", "HEAD"],
  "/openapi.json": ["GET", "HEAD"],
  "/docs": ["GET", "HEAD"],
  "/docs/": ["GET", "HEAD"],
  "/docs/static/swagger-ui.css": ["GET", "HEAD"],
} as const satisfies Record<string, readonly string[]>;

test("a known path answers every other method of HTTP with 405 and what it takes", async (t) => {
  const api = await startApi(t);
  for (const [url, methods] of Object.entries<readonly string[]>(allowed)) {
    for (const method of METHODS.filter((name) => !methods.includes(name) && name !== "CONNECT")) {
      // Names that only Node knows go beyond the type of inject.
      const { statusCode, headers, json } = await api.app.inject({
        method: method as "OPTIONS",
        url,
        headers: { authorization: "Bearer correct-horse-battery-staple", "content-type": "application/json" },
        payload: method === "DELETE" ? "" : "{",
      });
      assert.equal(statusCode, 405, `${method} ${url}`);
      assert.equal(headers["allow"], methods.join(", "));
      if (method !== "HEAD") assert.partialDeepStrictEqual(json(), { type: "/problems/method-not-allowed", status: 405 });
    }
  }
});

test("paths are exact", async (t) => {
  const api = await startApi(t);
  for (const url of [
    "/",
    "/v1",
    "/v1/",
    "/v1/policies/",
    "/V1/policies",
    "/v1/Policies",
    "/v1//policies",
    "/v1/bans/",
    "/v1/policies//offenders",
    "/v1/policies/mysql/",
    "/v1/policies/mysql/x",
    "/v1/confirmations/",
    "/v1/confirmations/none/",
    "/v1/bans/batch/",
    "/v1/check",
    "/v1/check/",
    "/v1/connections/",
    "/v1/status/",
    "/v1/recent/",
    "/v1/recent/DEFAULT/x",
    "/livez/",
    "/problems",
    "//livez",
  ]) {
    assertProblem(await api.send("GET", url), 404, "not-found");
    assertProblem(await api.send("POST", url, "{"), 404, "not-found");
  }
});

test("a path that can't be decoded, and one that is too long, are problems too", async (t) => {
  const api = await startApi(t);
  for (const url of ["/v1/policies/%zz", "/v1/policies/%", "/%ff", "/v1/bans/%c3%28"]) {
    assertProblem(await api.send("GET", url), 400, "malformed-request");
  }
  assertProblem(await api.send("GET", `/v1/policies/${"a".repeat(1025)}`), 414, "uri-too-long");
});

test("every problem names its request, and no two the same", async (t) => {
  const api = await startApi(t);
  const instances = new Set<string>();
  for (const url of ["/nowhere", "/v1/policies/mysql", "/v1/policies/%zz"]) {
    const { body } = await api.send("GET", url);
    instances.add(/urn:uuid:[0-9a-f-]{36}/.exec(JSON.stringify(body))?.[0] ?? "none");
  }
  assert.equal(instances.size, 3);
});
