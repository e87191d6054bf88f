/**
 * Bundles the service as CommonJS, unminified: `main.js` is `boot/boot.ts`, `service.js` is `src/main.ts` and `purge.js` is `src/purge.ts`, with what
 * they import. Loading some 300 files one by one is most of the time of a start (docs/decisions/0016). Run by bundle.sh: node scripts/build.ts DIRECTORY
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build, type Plugin } from "rolldown";

const [, , directory] = process.argv;
if (directory === undefined) throw new TypeError("give the directory to write to");

/** Loaded with the first request that needs it, from some sixty files of its own: bundled as well, apart. */
const validatorMaker = "@fastify/ajv-compiler";
/** V8 keeps the sources, and one that has characters beyond Latin-1 in twice the memory. */
const output = { dir: directory, format: "cjs", strict: true, minify: false, comments: false, charset: "ascii" } as const;
/** @throws {Error} when a module is not there or does not have the text any more */
function replacing(name: string, module: RegExp, text: string, by: string): Plugin {
  let done = false;
  const handler = (code: string): string => {
    done = code.includes(text);
    return code.replace(text, by);
  };
  const buildEnd = (): void => {
    if (!done) throw new Error(`${name}: no module ${module} says ${text.trim()} any more`);
  };
  return { name, transform: { filter: { id: module }, handler }, buildEnd };
}

// That of the project says that its files are modules.
await writeFile(join(directory, "package.json"), `${JSON.stringify({ type: "commonjs" })}\n`);

await build({
  input: { "ajv-compiler": validatorMaker },
  platform: "node",
  output: { ...output, entryFileNames: "[name].cjs" },
  logLevel: "warn",
});

await build({ input: { main: "scripts/boot/boot.ts" }, platform: "node", output, logLevel: "warn" });

await build({
  input: { service: "src/main.ts", purge: "src/purge.ts" },
  platform: "node",
  // Loaded by name, when they are needed first.
  external: [validatorMaker, "@fastify/swagger"],
  plugins: [
    replacing(
      "what TLS and HTTP/2 are made of is loaded when a server of theirs is made",
      /\/fastify\/lib\/server\.js$/,
      "const https = require('node:https')\nconst http2 = require('node:http2')\n",
      `const https = { createServer: (...args) => require("node:https").createServer(...args) };
      const http2 = {
        createServer: (...args) => require("node:http2").createServer(...args),
        createSecureServer: (...args) => require("node:http2").createSecureServer(...args),
      };\n`,
    ),
    replacing(
      "the maker of validators is beside the bundle",
      /\/lazy-validators\.ts$/,
      `load("${validatorMaker}")`,
      'load("./ajv-compiler.cjs")',
    ),
    replacing(
      "what execa sends to other processes of Node with, which none here is, is not loaded",
      /\/execa\/lib\/ipc\/ipc-input\.js$/,
      "import {serialize} from 'node:v8';",
      'const serialize = (value) => process.getBuiltinModule("node:v8").serialize(value);',
    ),
    // Each of the hundred nodes of the routes compiles a function of its own otherwise, anew at each start.
    replacing(
      "the routes' texts are compared without code that is made for each",
      /\/find-my-way\/lib\/node\.js$/,
      ["return new Function('path', 'i', `'use strict'\\nreturn $", "{lines.join(' && ')}`)"].join(""),
      "return (path, i) => path.startsWith(prefix, i)",
    ),
    // It tells seconds of delay from none: the 185 turns a second that 10 ms take would be most of what an idle service does.
    replacing(
      "the delay of the event loop is measured every 100 ms",
      /\/under-pressure\/index\.js$/,
      "const resolution = 10\n",
      "const resolution = 100\n",
    ),
  ],
  // The same names each time: what is kept of their code goes by them.
  output: { ...output, chunkFileNames: "[name].js" },
  logLevel: "warn",
});
