import assert from "node:assert/strict";
import { test } from "node:test";
import { startApi } from "./service.ts";

const routes = [
  ["GET", "/v1/policies"],
  ["PUT", "/v1/policies/mysql"],
  ["OPTIONS", "/v1/bans"],
  ["GET", "/livez"],
  ["GET", "/openapi.json"],
  ["GET", "/docs"],
  ["GET", "/problems/lockout"],
  ["GET", "/nowhere"],
] as const;

test("no answer lets a page of another origin read it, and none is kept or guessed at", async (t) => {
  const api = await startApi(t);
  const preflight = { "access-control-request-method": "PUT", "access-control-request-headers": "authorization" };
  for (const [method, url] of routes) {
    for (const headers of [{}, { ...preflight, origin: "https://evil.example" }]) {
      const answer = await api.send(method, url, undefined, headers);
      const names = Object.keys(answer.headers);
      assert.deepEqual(
        names.filter((name) => name.startsWith("access-control-")),
        [],
        `${method} ${url}`,
      );
      assert.equal(answer.headers["x-content-type-options"], "nosniff", `${method} ${url}`);
      assert.equal(answer.headers["cache-control"], "no-store", `${method} ${url}`);
    }
  }
});

test("pages take nothing from elsewhere and stand in no frame", async (t) => {
  const api = await startApi(t);
  for (const url of ["/docs", "/problems/lockout"]) {
    const { headers } = await api.send("GET", url);
    assert.match(String(headers["content-security-policy"]), /^default-src 'none'.*frame-ancestors 'none'/, url);
  }
});
