import { getCompileCacheDir } from "node:module";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { createScriptLoader } from "./script-loader.ts";

/** Milliseconds after which a start is over, as a rule, and what it has compiled is kept. */
const settled = 3000;
/**
 * How V8 is to work from then on: it collects its garbage sooner, and optimizes later, than by itself. A start with flags that its command line has other than
 * Node was built with would compile all of Node's own modules, and kept code counts only with the flags that it was made with.
 */
const laterFlags = [
  "--heap-growing-percent=25",
  "--invocation-count-for-maglev=2000",
  "--invocation-count-for-maglev-osr=500",
] as const;

// The service enables Node's compile cache as soon as it knows its state directory, and loads most of itself then.
const loader = createScriptLoader(getCompileCacheDir);
setTimeout(async () => {
  await loader.keep();
  for (const flag of laterFlags) setFlagsFromString(flag);
}, settled).unref();
loader.load(join(import.meta.dirname, "service.js"));
