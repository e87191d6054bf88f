// How long others wait while slow clients hold on to the service: node bench/slow-clients.ts [--count 1000] [--seconds 30]
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createNetwork } from "../test/support/namespaces.ts";
import { startService } from "../test/support/service.ts";
import { p99, writeFigures } from "./figures.ts";
import { printTable } from "./measurements.ts";
import type { AgentOrder, GoodReport, SlowReport } from "./slow-clients-agent.ts";

const { values } = parseArgs({
  options: { count: { type: "string", default: "1000" }, seconds: { type: "string", default: "30" } },
});
const [count, duration] = [Number(values.count), Number(values.seconds) * 1000];
const port = 7306;

await using network = await createNetwork();
await using service = await startService({
  network,
  backend: "nft",
  tcpListener: `127.0.0.1:${port}`,
  env: { CONNLIMITD_LOG_LEVEL: "warn" },
});
const token = readFileSync(join(service.stateDirectory, "admin.token"), "utf8").trim();
const targets = { tcp: { host: "127.0.0.1", port }, unix: { path: service.socketPath, socketPath: service.socketPath } };

/** Runs one agent in the host's namespace to its end. */
async function run(order: Pick<AgentOrder, "role" | "duration">): Promise<unknown> {
  const child = network.spawn(
    "host",
    process.execPath,
    [join(import.meta.dirname, "slow-clients-agent.ts"), JSON.stringify({ ...order, targets, token, count })],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (part: string) => (text += part));
  await new Promise((resolve) => child.once("close", resolve));
  return JSON.parse(text);
}

const calm = (await run({ role: "good", duration: duration / 3 })) as GoodReport;
printTable("nobody else", new Map(Object.entries(calm.times)));
const [slow, good] = (await Promise.all([run({ role: "slow", duration: duration + 2000 }), run({ role: "good", duration })])) as [
  SlowReport,
  GoodReport,
];
printTable(`${count} slow clients`, new Map(Object.entries(good.times)));
console.log(`slow clients were cut off ${slow.cutOff} times; at the end ${slow.held} held a connection`);
for (const failure of new Set(good.failures)) console.log(`failed: ${failure}`);

const all = Object.values(good.times).flat();
const figure = `p99 ${Math.round(p99(all))} ms of ${all.length} requests with ${count} slow connections, ${good.failures.length} failed`;
console.log(figure);
writeFigures("slow-clients", [{ promise: "1,000 slow connections leave the 99th percentile of others under 100 ms", figure }]);
process.exitCode = p99(all) < 100 && good.failures.length === 0 ? 0 : 1;
