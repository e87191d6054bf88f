/**
 * Bundles the service: `main.js` is `src/main.ts` and `purge.js` is `src/purge.ts`, with what they import, unminified. Loading some
 * 300 files one by one is most of the time of a start (docs/decisions/0016). Run by bundle.sh: node scripts/build.ts DIRECTORY
 */
import { build } from "rolldown";

const [, , directory] = process.argv;
if (directory === undefined) throw new TypeError("give the directory to write to");

await build({
  input: { main: "src/main.ts", purge: "src/purge.ts" },
  platform: "node",
  // Loaded by name, when they are needed first.
  external: ["@fastify/ajv-compiler", "@fastify/swagger", "@fastify/swagger-ui"],
  // The same names each time: the compile cache goes by them.
  output: { dir: directory, format: "esm", minify: false, chunkFileNames: "[name].js" },
  logLevel: "warn",
});
