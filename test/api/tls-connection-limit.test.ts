import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { Agent, request } from "node:https";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { createConnectionLimit } from "../../src/api/connection-limit.ts";
import { createHttpServer } from "../../src/api/http-server.ts";
import { createCertificate } from "../support/certificate.ts";
import { eventually } from "../support/eventually.ts";

const limit = 4;
const { cert, key } = createCertificate(["127.0.0.1"]);

async function start(t: TestContext) {
  const server = createHttpServer((_request, response) => response.end("answered"), { cert, key });
  createConnectionLimit({ limit, log: { warn: () => {} } }).watch(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: cert });
  const silent: Socket[] = [];
  t.after(() => {
    for (const socket of silent) socket.destroy();
    agent.destroy();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    /** Whether the answer came over the connection of an earlier one. */
    get: async () => {
      const sent = request({ host: "127.0.0.1", port, agent });
      sent.end();
      const [response] = (await once(sent, "response")) as [IncomingMessage];
      response.resume();
      await once(response, "end");
      return sent.reusedSocket;
    },
    /** Connects and never begins a handshake. */
    connect: async () => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", () => {}).resume();
      silent.push(socket);
      await once(socket, "connect");
    },
    ended: () => silent.filter(({ closed }) => closed).length,
  };
}

test("over TLS, who never begins a handshake has to go, and a connection that has been of use stays", async (t) => {
  const { get, connect: connectSilently, ended } = await start(t);
  assert.equal(await get(), false);
  for (let n = 0; n < 3 * limit; n += 1) await connectSilently();
  await eventually("all but those with a place are ended", () => ended() === 2 * limit + 1);
  assert.equal(await get(), true);
});

test("over TLS, a new client is answered where silent ones hold all places", async (t) => {
  const { get, connect: connectSilently } = await start(t);
  for (let n = 0; n < 3 * limit; n += 1) await connectSilently();
  assert.equal(await get(), false);
});
