import { getCompileCacheDir } from "node:module";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { createScriptLoader } from "./script-loader.ts";

/** Milliseconds after which a start is over, as a rule, and what it has compiled is kept. */
const settled = 3000;
/**
 * Node's own modules that a start needs. Their code comes with Node, and V8 takes it only under the flags that Node was built with, so that they are loaded
 * before any other flag is set, and none that matters for it is on the command line.
 */
const modules = [
  ...["assert", "child_process", "crypto", "dns", "fs/promises", "http", "net", "os", "perf_hooks", "sqlite", "timers/promises"],
  ...["tty", "vm", "worker_threads"],
] as const;
/** What V8 was told from outside stays so. It takes dashes, underscores or nothing between the words. */
const told = [...process.execArgv, ...(process.env["NODE_OPTIONS"] ?? "").split(/\s+/)].map((word) =>
  word.replaceAll(/[-_]/g, ""),
);
const isLeftToUs = (flag: string): boolean => {
  const name = flag.replace(/=.*/, "").replaceAll("-", "");
  return !told.some((word) => word === `no${name}` || word.split("=")[0] === name);
};
/** V8's compilers. What is run once is not worth to be compiled, and programs need the processors. A V8 that compiles nothing (--jitless) has no WebAssembly, and can't begin to. */
const compilers = "WebAssembly" in globalThis ? ["--sparkplug", "--maglev", "--turbofan"].filter(isLeftToUs) : [];
/** How V8 is to work later: it collects its garbage sooner, and optimizes later, than by itself. */
const laterFlags = [
  ...compilers,
  ...["--heap-growing-percent=25", "--invocation-count-for-maglev=2000", "--invocation-count-for-maglev-osr=500"].filter(
    isLeftToUs,
  ),
];

for (const name of modules) process.getBuiltinModule(`node:${name}`);
for (const flag of compilers) setFlagsFromString(flag.replace("--", "--no-"));
// The service enables Node's compile cache as soon as it knows its state directory, and loads most of itself then.
const loader = createScriptLoader(getCompileCacheDir);
// Kept code counts only under the flags under which it was made.
const keep = () =>
  loader.keep(() => {
    for (const flag of laterFlags) setFlagsFromString(flag);
  });
setTimeout(keep, settled).unref();
loader.load(join(import.meta.dirname, "service.js"));
