import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { createConnectionLimit } from "../../src/api/connection-limit.ts";
import { eventually } from "../support/eventually.ts";
import { type Api, adminToken, startApi } from "./service.ts";

/** The client's side of a connection. */
interface Client {
  readonly socket: Socket;
  text: string;
  isOpen: boolean;
}

const limit = 8;
const authorization = `Bearer ${adminToken}`;
const whole = `GET /v1/policies HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\n\r\n`;
const half = "PUT /v1/bans/203.0.113.9 HTTP/1.1\r\nHost: a\r\n";
const halfBody = `${half}Authorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{`;

async function start(t: TestContext) {
  // First, as a server that is to close waits for them.
  const sockets: Socket[] = [];
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  const warnings: object[] = [];
  const connectionLimit = createConnectionLimit({ limit, log: { warn: (details) => void warnings.push(details) } });
  const apis = [await startApi(t, { connectionLimit }), await startApi(t, { connectionLimit })];
  const ports = await Promise.all(apis.map(listen));
  return {
    warnings,
    apis,
    ports,
    /** Opens a connection to one of the servers and sends this; what came back is in `text`. */
    open: async (text: string, server = 0): Promise<Client> => {
      const socket = connect(ports[server] ?? 0, "127.0.0.1");
      sockets.push(socket);
      const client: Client = { socket, text: "", isOpen: true };
      socket.setEncoding("utf8").on("data", (part: string) => {
        client.text += part;
      });
      socket
        .on("error", () => {})
        .once("close", () => {
          client.isOpen = false;
        });
      await once(socket, "connect");
      socket.write(text);
      return client;
    },
    held: () => Promise.all(apis.map(connectionsOf)).then((counts) => counts.reduce((sum, count) => sum + count, 0)),
  };
}

async function listen({ app }: Api): Promise<number> {
  await app.listen({ host: "127.0.0.1", port: 0 });
  const address = app.server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function connectionsOf({ app }: Api): Promise<number> {
  return new Promise((resolve, reject) => {
    app.server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}

async function get(port: number, agent: Agent | false): Promise<number | undefined> {
  const sent = request({ host: "127.0.0.1", port, path: "/v1/policies", agent, headers: { authorization } });
  sent.end();
  const [response] = await once(sent, "response");
  response.resume();
  await once(response, "end");
  return response.statusCode;
}

test("slow clients on all places push out each other: who asks is answered, over each listener", async (t) => {
  const { ports, open, held, warnings } = await start(t);
  const slow: Client[] = [];
  for (const text of ["", "G", half, halfBody]) for (let n = 0; n < limit; n += 1) slow.push(await open(text, n % 2));
  for (const port of ports) for (let n = 0; n < limit; n += 1) assert.equal(await get(port, false), 200);
  await eventually("the service holds no more than the limit", async () => (await held()) <= limit);
  await eventually("the others are ended", () => slow.filter(({ isOpen }) => isOpen).length <= limit);
  assert.equal(warnings.length, 1, "and says so once");
});

test("a connection that has been of use stays while slow clients come and go", async (t) => {
  const { ports, open } = await start(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const [port = 0] = ports;
  assert.equal(await get(port, agent), 200);
  const sockets = () => Object.values(agent.freeSockets).flat();
  const [first] = sockets();
  for (let n = 0; n < 3 * limit; n += 1) await open(n % 2 === 0 ? half : halfBody);
  assert.equal(await get(port, agent), 200);
  assert.equal(sockets()[0], first, "the same connection");
});

test("among those that are of no use, the one that has been so the longest goes first", async (t) => {
  const { open } = await start(t);
  const clients: Client[] = [];
  for (let n = 0; n < limit; n += 1) clients.push(await open(whole));
  await eventually("all are answered", () => clients.every(({ text }) => text.includes("nextCursor")));
  const [first] = clients;
  first?.socket.write(whole);
  await eventually("the first asked again", () => first?.text.split("nextCursor").length === 3);
  await open(whole);
  await eventually("the second is ended", () => clients[1]?.isOpen === false);
  assert.deepEqual(clients.map(({ isOpen }) => isOpen).indexOf(false), 1);
});

test("who is being served stays: a new connection is refused with 503 where that is all of them", async (t) => {
  const { apis, open } = await start(t);
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const { firewall } of apis) {
    const check = firewall.check.bind(firewall);
    t.mock.method(firewall, "check", async (...args: Parameters<typeof check>) => {
      await promise;
      return check(...args);
    });
  }
  const write = (n: number) => {
    const body = JSON.stringify({ ports: [n], maxConnections: 1 });
    return `PUT /v1/policies/p${n} HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  };
  const served: Client[] = [];
  for (let n = 1; n < limit; n += 1) served.push(await open(write(n)));
  const last = await open("");
  const next = await open(write(limit));
  await eventually("the silent one is ended", () => !last.isOpen);
  const refused = await open(whole);
  await eventually("with all places in use, the new one is refused", () => !refused.isOpen);
  assert.match(refused.text, /^HTTP\/1.1 503 /);
  assert.match(refused.text, /^retry-after: 2$/im);
  assert.match(refused.text, /"type":"\/problems\/overloaded"/);
  resolve();
  await eventually("all writes are answered", () => [...served, next].every(({ text }) => text.startsWith("HTTP/1.1 201")));
});
