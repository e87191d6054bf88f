import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "../support/service.ts";

test("a service that was asked nothing yet has loaded neither TypeBox, nor Ajv, nor what makes the document and its page, nor a client for the web", () => {
  const [compose, servers, server] = ["compose", "servers", "api/server"].map((name) =>
    JSON.stringify(join(root, `src/${name}.ts`)),
  );
  const openapi = JSON.stringify(join(root, "scripts/generate-openapi.ts"));
  const program = `
    import { registerHooks } from "node:module";
    const loaded = new Set();
    registerHooks({ load: (url, context, next) => (loaded.add(/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1]), next(url, context)) });
    await import(${compose});
    await import(${servers});
    const { createServer } = await import(${server});
    const nothing = new Proxy({}, { get: () => undefined });
    const names = ["policies", "bans", "confirmations", "look", "enforcer", "inspector", "enforcement", "tokens", "audit", "access", "attempts"];
    const layers = Object.fromEntries(names.map((name) => [name, nothing]));
    const readiness = () => ({ ready: true });
    await createServer({ ...layers, transport: "unix", readiness, cursorSecret: "x", version: "0.0.0", logger: false }).ready();
    const web = () => process.moduleLoadList.some((name) => name.endsWith("undici/undici"));
    console.log(JSON.stringify({ packages: [...loaded], web: web() }));
    const { renderOpenapi } = await import(${openapi});
    await renderOpenapi();
    console.log(JSON.stringify({ packages: [...loaded] }));
  `;
  const [before, after] = execFileSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line): { packages: string[]; web?: boolean } => JSON.parse(line));
  const rare = ["typebox", "ajv", "@fastify/swagger", "swagger-ui-dist", "yaml"];
  assert.ok(before && after);
  assert.ok(before.packages.includes("fastify"));
  assert.deepEqual(
    rare.filter((name) => before.packages.includes(name)),
    [],
  );
  assert.equal(before.web, false);
  assert.ok(after.packages.includes("@fastify/swagger"));
});
