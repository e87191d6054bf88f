/**
 * Bundles the service: `dist/main.js` is `src/main.ts` and `dist/purge.js` is `src/purge.ts`, with what they import, unminified. Loading some
 * 300 files one by one is most of the time of a start (docs/decisions/0016).
 */
import { renameSync, rmSync } from "node:fs";
import { build } from "rolldown";

const made = "dist";
const making = `${made}.${process.pid}`;

try {
  await build({
    input: { main: "src/main.ts", purge: "src/purge.ts" },
    platform: "node",
    // Loaded by name, when they are needed first.
    external: ["@fastify/ajv-compiler", "@fastify/swagger", "@fastify/swagger-ui"],
    output: { dir: making, format: "esm", minify: false },
    logLevel: "warn",
  });
  rmSync(made, { recursive: true, force: true });
  renameSync(making, made);
} finally {
  rmSync(making, { recursive: true, force: true });
}
