// Loaded into the service by --import: tells over a socket how long its event loop was kept, and how much memory it has.
import { readFileSync, rmSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

// An import of it would load undici into the service, which itself is without.
const { createServer } = process.getBuiltinModule("node:http");

const path = process.env["BENCH_INSTRUMENT"];
if (path !== undefined && process.argv[1]?.endsWith("main.js") === true) {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  rmSync(path, { force: true });
  const server = createServer((_request, response) => {
    const resident = Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024;
    response.end(JSON.stringify({ longestBlock: delays.max / 1e6, resident }));
    delays.reset();
  });
  server.listen(path).unref();
}
