// Requests made from the OpenAPI document, and broken HTTP, against the service as a process: node bench/fuzz.ts [--count 10000]
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { isRecord } from "../src/api/requests/schema-words.ts";
import { assertDocumented } from "../test/api/documented-answer.ts";
import { brokenRequests, statusesFor } from "../test/support/broken-http.ts";
import { createNetwork } from "../test/support/namespaces.ts";
import { requestsOf } from "../test/support/openapi-arbitraries.ts";
import { startService } from "../test/support/service.ts";
import { writeFigures } from "./figures.ts";
import { readArguments } from "./measurements.ts";

const { count } = readArguments(10_000);
/** Requests at a time. */
const workers = 8;
/** Requests after which what they made is deleted, so that memory can only grow because of a leak. */
const roundLength = 500;
/** Rounds after which memory is measured for the first time. */
const warmUp = 10;

await using network = await createNetwork();
await using service = await startService({ network, backend: "nft", env: { CONNLIMITD_LOG_LEVEL: "error" } });
const pid = service.pid();
const { body: document } = await service.request("GET", "/openapi.json");
if (!isRecord(document)) throw new TypeError("there is no OpenAPI document");

const problems = new Map<string, number>();
const statuses = new Map<number, number>();
const memory: number[] = [];
const note = (problem: string): void => void problems.set(problem, (problems.get(problem) ?? 0) + 1);

/** Resident megabytes of the process. */
function resident(): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(join("/proc", String(pid), "status"), "utf8"))?.[1]) / 1024;
}

async function clear(): Promise<void> {
  const { body: policies } = await service.request("GET", "/v1/policies?limit=1000");
  for (const { name } of itemsOf(policies)) await service.request("DELETE", `/v1/policies/${String(name)}`);
  for (let left = true; left; ) {
    const { body } = await service.request("GET", "/v1/bans?limit=1000");
    const addresses = itemsOf(body).map(({ address }) => address);
    left = addresses.length > 0;
    if (left) await service.request("POST", "/v1/bans/batch", { delete: addresses });
  }
}

function itemsOf(body: unknown): readonly Readonly<Record<string, unknown>>[] {
  return isRecord(body) && Array.isArray(body["items"]) ? body["items"].filter(isRecord) : [];
}

/** Does all of it, some at a time, in rounds. */
async function inRounds<T>(items: readonly T[], perform: (item: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += roundLength) {
    const round = items.slice(from, from + roundLength).values();
    await Promise.all(
      Array.from({ length: workers }, async () => {
        for (const item of round) await perform(item);
      }),
    );
    await clear();
    memory.push(resident());
  }
}

function judge(status: number, what: string): void {
  statuses.set(status, (statuses.get(status) ?? 0) + 1);
  if (status >= 500 && status !== 503 && status !== 507) note(`${status}: ${what}`);
}

await inRounds(fc.sample(requestsOf(document), count), async ({ method, url, headers, payload }) => {
  const what = `${method} ${url} ${payload ?? ""}`;
  try {
    const answer = await service.request(method, url, payload, headers);
    judge(answer.status, what);
    assertDocumented(document, method, url, { ...answer, body: answer.body ?? "" });
  } catch (error) {
    note(`${String(error)}: ${what}`);
  }
});
console.log(`from the document: ${JSON.stringify(Object.fromEntries(statuses))}`);
statuses.clear();
await inRounds(fc.sample(brokenRequests(""), count), async (bytes) => {
  for (const status of await statusesFor({ path: service.socketPath }, bytes))
    judge(status, JSON.stringify(bytes.toString("latin1")));
});
console.log(`broken HTTP: ${JSON.stringify(Object.fromEntries(statuses))}`);

const good = await service.request("PUT", "/v1/policies/afterwards", { ports: [80], maxConnections: 1 });
if (good.status !== 201 || service.pid() !== pid) note("the service does not answer a good request afterwards");
const [begin = Number.NaN, end = Number.NaN] = [memory[Math.min(warmUp, memory.length - 1)], memory.at(-1)];
if (end > begin * 1.25) note(`memory grew from ${begin} to ${end} MB`);
console.log(`memory after each round, in MB: ${memory.map(Math.round).join(" ")}`);
for (const [problem, times] of problems) console.log(`${times} times ${problem.slice(0, 600)}`);
const figure = `${count} requests each, ${problems.size} answers that should not be; ${Math.round(begin)} MB after ${warmUp * roundLength} requests, ${Math.round(end)} MB at the end`;
console.log(figure);
writeFigures("fuzz", [
  {
    promise:
      "10,000 requests made from the OpenAPI document and 10,000 broken ones: no 5xx but the declared 503 and 507, no crash, memory flat",
    figure,
  },
]);
process.exitCode = problems.size === 0 ? 0 : 1;
