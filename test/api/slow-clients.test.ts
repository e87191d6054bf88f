import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, type IncomingMessage, type RequestOptions, request } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { createConnectionLimit } from "../../src/api/connection-limit.ts";
import { eventually } from "../support/eventually.ts";
import { startSlowClients } from "../support/slow-clients.ts";
import { temporaryDirectory } from "../support/test-store.ts";
import { adminToken, startApi } from "./service.ts";

const limit = 48;
/** On each listener: more than fit in all, and of those that read no answer fewer, as they are served for a moment. */
const count = 40;
const authorization = `Bearer ${adminToken}`;

async function get(target: RequestOptions, agent: Agent | false): Promise<number | undefined> {
  const sent = request({ ...target, agent, path: "/v1/policies", headers: { authorization } });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  response.resume();
  await once(response, "end");
  return response.statusCode;
}

test("while many slow clients of every kind come and come again, everybody else is answered, over TCP and a unix socket", async (t) => {
  const agents = [new Agent({ keepAlive: true, maxSockets: 1 }), new Agent({ keepAlive: true, maxSockets: 1 })];
  const groups: ReturnType<typeof startSlowClients>[] = [];
  // First, as a server that is to close waits for its connections.
  t.after(() => {
    for (const { stop } of groups) stop();
    for (const agent of agents) agent.destroy();
  });
  const connectionLimit = createConnectionLimit({ limit, log: { warn: () => {} } });
  const [tcp, unix] = [await startApi(t, { connectionLimit }), await startApi(t, { connectionLimit, transport: "unix" })];
  const path = join(temporaryDirectory(t), "api.sock");
  await unix.app.listen({ path });
  await tcp.app.listen({ host: "127.0.0.1", port: 0 });
  const address = tcp.app.server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const access = `Host: a\r\nAuthorization: ${authorization}\r\n`;
  for (const target of [{ host: "127.0.0.1", port }, { path }]) {
    const slowness = ["silent", "headers", "body", "reading"] as const;
    groups.push(startSlowClients({ target, access, slowness, count, pace: 20, comeback: 200 }));
  }
  await eventually("they have to go", () => groups.every(({ cutOff }) => cutOff() > limit));
  for (let n = 0; n < 20; n += 1) {
    for (const [index, target] of [{ host: "127.0.0.1", port }, { socketPath: path }].entries()) {
      assert.equal(await get(target, false), 200);
      assert.equal(await get(target, agents[index] ?? false), 200);
    }
  }
});
