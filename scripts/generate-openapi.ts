import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import manifest from "../package.json" with { type: "json" };
import { createServer } from "../src/api/server.ts";

/** Where the generated document is kept. */
export const openapiFile = fileURLToPath(new URL("../openapi/openapi.json", import.meta.url));

/** The OpenAPI document of the routes, as text. No route is called: the services are not there. */
export async function renderOpenapi(): Promise<string> {
  const absent = (): never => {
    throw new Error("no service stands behind the routes of the generator");
  };
  const policyWrites = { create: absent, put: absent, edit: absent, remove: absent };
  const banWrites = { create: absent, put: absent, remove: absent, batch: absent };
  const app = createServer({
    transport: "tcp",
    policies: { list: absent, get: absent, ...policyWrites, foresee: policyWrites, offenders: absent },
    bans: { list: absent, get: absent, ...banWrites, foresee: banWrites },
    confirmations: { list: absent, confirm: absent, revert: absent, nextDeadline: absent, revertDue: absent },
    look: { check: absent, connections: absent, status: absent },
    tokens: { list: absent, create: absent, remove: absent, foresee: { create: absent, remove: absent }, identify: absent },
    enforcer: { settle: absent, enforcementOf: absent, inStep: absent, failure: absent },
    inspector: { facts: absent, recentLists: absent, recentList: absent },
    enforcement: { repairs: absent, lastPassAt: absent },
    access: { verifyToken: absent },
    attempts: { note: absent },
    audit: { list: absent, refused: absent, watch: absent },
    readiness: absent,
    cursorSecret: "none",
    version: manifest.version,
    logger: false,
  });
  await app.ready();
  try {
    return `${JSON.stringify(app.swagger(), null, 2)}\n`;
  } finally {
    await app.close();
  }
}

async function main(): Promise<void> {
  const rendered = await renderOpenapi();
  if (!process.argv.includes("--check")) return writeFile(openapiFile, rendered);
  const kept = await readFile(openapiFile, "utf8").catch(() => "");
  if (kept === rendered) return;
  console.error("openapi/openapi.json is stale: run node scripts/generate-openapi.ts");
  process.exitCode = 1;
}

if (import.meta.main) await main();
