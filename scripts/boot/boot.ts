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
/** V8's compilers, but for those that were switched off from outside. What is run once is not worth to be compiled, and programs need the processors. */
const compilers = ["sparkplug", "maglev", "turbofan"].filter((name) => !process.execArgv.includes(`--no-${name}`));
/** How V8 is to work later: it collects its garbage sooner, and optimizes later, than by itself. */
const laterFlags = [
  ...compilers.map((name) => `--${name}`),
  "--heap-growing-percent=25",
  "--invocation-count-for-maglev=2000",
  "--invocation-count-for-maglev-osr=500",
] as const;

for (const name of modules) process.getBuiltinModule(`node:${name}`);
for (const name of compilers) setFlagsFromString(`--no-${name}`);
// The service enables Node's compile cache as soon as it knows its state directory, and loads most of itself then.
const loader = createScriptLoader(getCompileCacheDir);
setTimeout(async () => {
  // Kept code counts only under the flags under which it was made.
  await loader.keep();
  for (const flag of laterFlags) setFlagsFromString(flag);
}, settled).unref();
loader.load(join(import.meta.dirname, "service.js"));
