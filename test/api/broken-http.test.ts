import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { brokenRequests, statusesFor } from "../support/broken-http.ts";
import { adminToken, startApi } from "./service.ts";

test("broken HTTP is never answered with a 5xx, and good HTTP is answered afterwards", async (t) => {
  const api = await startApi(t);
  await api.app.listen({ host: "127.0.0.1", port: 0 });
  const address = api.app.server.address();
  assert.ok(typeof address === "object" && address !== null);
  const target = { host: "127.0.0.1", port: address.port };
  const seen = new Set<number>();
  await fc.assert(
    fc.asyncProperty(brokenRequests(`Authorization: Bearer ${adminToken}\r\n`, 0), async (bytes) => {
      const statuses = await statusesFor(target, bytes);
      assert.ok(
        statuses.every((status) => status < 500 || status === 503 || status === 507),
        String(statuses),
      );
      for (const status of statuses) seen.add(status);
    }),
    { numRuns: 500 },
  );
  for (const status of [200, 400, 401, 404]) assert.ok(seen.has(status), `${status} occurs`);
  assert.equal((await api.send("GET", "/v1/policies")).status, 200);
});
