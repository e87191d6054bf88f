import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { requestsOf } from "../support/openapi-arbitraries.ts";
import { startApi } from "./service.ts";

test("every request that the OpenAPI document leads to gets an answer of that document, and none a 500", async (t) => {
  const api = await startApi(t);
  const statuses = new Set<number>();
  await fc.assert(
    fc.asyncProperty(requestsOf(api.app.swagger()), async ({ method, url, headers, payload }) => {
      const { status, body } = await api.send(method, url, payload, { "content-type": "", ...headers });
      assert.ok(status < 500 || status === 503 || status === 507, `${method} ${url}: ${JSON.stringify(body)}`);
      statuses.add(status);
    }),
    { numRuns: 1000 },
  );
  for (const status of [200, 201, 400, 404, 415]) assert.ok(statuses.has(status), `${status} occurs`);
});
