/**
 * Bundles the service: `main.js` is `src/main.ts` and `purge.js` is `src/purge.ts`, with what they import, unminified. Loading some
 * 300 files one by one is most of the time of a start (docs/decisions/0016). Run by bundle.sh: node scripts/build.ts DIRECTORY
 */
import { build } from "rolldown";

const [, , directory] = process.argv;
if (directory === undefined) throw new TypeError("give the directory to write to");

/** Loaded with the first request that needs it, from some sixty files of its own: bundled as well, apart. */
const validatorMaker = "@fastify/ajv-compiler";
await build({
  input: { "ajv-compiler": validatorMaker },
  platform: "node",
  output: { dir: directory, format: "cjs", minify: false, entryFileNames: "[name].cjs" },
  logLevel: "warn",
});

await build({
  input: { main: "src/main.ts", purge: "src/purge.ts" },
  platform: "node",
  // Loaded by name, when they are needed first.
  external: [validatorMaker, "@fastify/swagger", "@fastify/swagger-ui"],
  plugins: [
    {
      name: "the maker of validators is beside the bundle",
      transform: {
        filter: { id: /\/lazy-validators\.ts$/ },
        handler: (code) => {
          const call = `load("${validatorMaker}")`;
          if (!code.includes(call)) throw new Error(`lazy-validators.ts does not say ${call} any more`);
          return code.replace(call, 'load("./ajv-compiler.cjs")');
        },
      },
    },
  ],
  // The same names each time: the compile cache goes by them.
  output: { dir: directory, format: "esm", minify: false, chunkFileNames: "[name].js" },
  logLevel: "warn",
});
