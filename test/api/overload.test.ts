import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultOverloadLimits } from "../../src/api/requests/overload.ts";
import { eventually } from "../support/eventually.ts";
import { type Api, assertProblem, startApi } from "./service.ts";

/** 10.2.0.0 and on: nobody's. */
function largeBatch(first: number) {
  return { put: Array.from({ length: 1000 }, (_, n) => ({ address: `10.${first}.${n >> 8}.${n & 255}`, sever: false })) };
}

const policy = { ports: [3306], maxConnections: 2 };

async function untilOverloaded(api: Api): Promise<void> {
  await eventually("it is measured", async () => (await api.send("GET", "/readyz")).status === 503);
}

test("where the memory is nearly full, everything is 503 with the time to come again, and nothing is stored", async (t) => {
  const api = await startApi(t, { overloadLimits: { maxEventLoopDelay: 0, maxHeapUsedBytes: 1, sampleInterval: 10 } });
  await untilOverloaded(api);
  for (const [method, url, body] of [
    ["GET", "/v1/policies", undefined],
    ["PUT", "/v1/policies/mysql", policy],
    ["PUT", "/v1/policies/mysql", "{"],
    ["DELETE", "/v1/bans/203.0.113.9", undefined],
  ] as const) {
    const answer = await api.send(method, url, body);
    assertProblem(answer, 503, "overloaded");
    assert.match(String(answer.headers["retry-after"]), /^[1-9][0-9]*$/);
    assert.equal(answer.headers["connlimitd-changed"], method === "GET" ? undefined : "false");
  }
  assert.equal(api.store.revision(), 0);
});

test("a process with too much to do is alive all the same", async (t) => {
  const api = await startApi(t, { overloadLimits: { maxEventLoopDelay: 0, maxHeapUsedBytes: 1, sampleInterval: 10 } });
  await untilOverloaded(api);
  const { status, body } = await api.send("GET", "/livez");
  assert.equal(status, 200);
  assert.deepEqual(body, { status: "alive" });
});

test("somebody without a token learns nothing of it", async (t) => {
  const api = await startApi(t, { overloadLimits: { maxEventLoopDelay: 0, maxHeapUsedBytes: 1, sampleInterval: 10 } });
  await untilOverloaded(api);
  assertProblem(await api.send("GET", "/v1/policies", undefined, { authorization: "" }), 401, "unauthorized");
});

test("who would wait for a turn of the event loop longer than the limit is told to come again, until it is over", async (t) => {
  const api = await startApi(t, { overloadLimits: { ...defaultOverloadLimits, maxEventLoopDelay: 100, sampleInterval: 200 } });
  const end = performance.now() + 1000;
  let blocked = 0;
  const block = (): void => {
    for (const until = performance.now() + 300; performance.now() < until; ) blocked += 1;
    if (performance.now() < end) setImmediate(block);
  };
  block();
  await eventually("it is measured", async () => {
    const answer = await api.send("GET", "/v1/policies");
    return answer.status === 503 && assertProblem(answer, 503, "overloaded");
  });
  assert.ok(blocked > 0);
  await eventually("the work is done", async () => (await api.send("GET", "/v1/policies")).status === 200);
});

test("of many large batches at a time a few are taken and the others told to come again; small ones have their way", async (t) => {
  const api = await startApi(t);
  api.firewall.setBanRoom({ capacity: 10_000 });
  const { promise, resolve } = Promise.withResolvers<void>();
  const transact = api.store.transact.bind(api.store);
  t.mock.method(api.store, "transact", async (work: Parameters<typeof transact>[0]) => {
    await promise;
    return transact(work);
  });
  const taken = [2, 3, 4, 5].map((first) => api.send("POST", "/v1/bans/batch", largeBatch(first)));
  await eventually("the next one is refused", async () => {
    const answer = await api.send("POST", "/v1/bans/batch?dryRun=true", largeBatch(6));
    return answer.status === 503 && assertProblem(answer, 503, "overloaded");
  });
  const small = api.send("POST", "/v1/bans/batch", { put: [{ address: "203.0.113.9" }] });
  resolve();
  for (const answer of await Promise.all([...taken, small])) assert.equal(answer.status, 200);
  assert.equal((await api.send("POST", "/v1/bans/batch", largeBatch(2))).status, 200, "and afterwards");
});
