import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { openapiFile, renderOpenapi } from "../../scripts/generate-openapi.ts";
import { isRecord } from "../../src/api/requests/schema-words.ts";
import { startApi } from "./service.ts";

test("openapi/openapi.json is what the routes say; if not, run node scripts/generate-openapi.ts", async () => {
  assert.ok((await readFile(openapiFile, "utf8")) === (await renderOpenapi()), "it is stale");
});

test("the document has no fault that the recommended rules know", async () => {
  const config = await createConfig({ extends: ["recommended"] });
  const problems = await lintFromString({ source: await renderOpenapi(), absoluteRef: openapiFile, config });
  assert.deepEqual(
    problems.map(({ ruleId, message }) => `${ruleId}: ${message}`),
    [],
  );
});

test("GET /openapi.json answers the document of the running service", async (t) => {
  const api = await startApi(t);
  const { status, headers, body } = await api.send("GET", "/openapi.json");
  assert.equal(status, 200);
  assert.match(String(headers["content-type"]), /^application\/json/);
  assert.partialDeepStrictEqual(body, {
    openapi: "3.1.0",
    info: { title: "connlimitd", version: "0.0.0-test", license: { name: "MIT" } },
  });
});

test("every operation has an id of its own, a summary, a tag and an example of each problem", async (t) => {
  const api = await startApi(t);
  const ids = new Set<unknown>();
  for (const path of Object.values(api.app.swagger().paths ?? {})) {
    for (const operation of Object.values(path ?? {})) {
      assert.ok(isRecord(operation) && isRecord(operation["responses"]));
      assert.ok(!ids.has(operation["operationId"]));
      ids.add(operation["operationId"]);
      assert.match(String(operation["summary"]), /^[A-Z]/);
      assert.ok(Array.isArray(operation["tags"]) && operation["tags"].length === 1);
      for (const [status, response] of Object.entries(operation["responses"])) {
        if (Number(status) >= 400)
          assert.match(JSON.stringify(response), /"application\/problem\+json".*#\/components\/examples\//);
      }
    }
  }
  assert.equal(ids.size, 29);
});

test("the page at /docs finds all of its parts on this service", async (t) => {
  const api = await startApi(t);
  const page = await api.send("GET", "/docs");
  assert.match(String(page.headers["content-type"]), /^text\/html/);
  assert.match(String(page.headers["content-security-policy"]), /default-src 'none'; script-src 'self'/);
  const parts = [...String(page.body).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, part]) => part ?? "");
  assert.ok(parts.length >= 5);
  for (const part of parts) {
    assert.match(part, /^\/docs\/static\//);
    assert.equal((await api.send("GET", part)).status, 200, part);
  }
  assert.equal((await api.send("GET", "/docs/static/none.js")).status, 404);
});
