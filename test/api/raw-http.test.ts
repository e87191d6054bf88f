import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { adminToken, startApi } from "./service.ts";

const authorization = `Authorization: Bearer ${adminToken}`;

async function listen(t: TestContext) {
  const api = await startApi(t);
  await api.app.listen({ host: "127.0.0.1", port: 0 });
  const address = api.app.server.address();
  assert.ok(typeof address === "object" && address !== null);
  return { api, port: address.port };
}

/** Sends bytes and reads until the service closes the connection. */
async function exchange(port: number, ...lines: readonly string[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.write(lines.join("\r\n"));
  return readAll(socket);
}

async function readAll(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk) => {
    text += chunk;
  });
  await once(socket, "close");
  return text;
}

function assertRawProblem(answer: string, status: number, slug: string): void {
  const [head = "", body = ""] = answer.split("\r\n\r\n");
  assert.match(head, new RegExp(`^HTTP/1.1 ${status} `));
  assert.match(head, /^content-type: application\/problem\+json$/im);
  assert.partialDeepStrictEqual(JSON.parse(body), { type: `/problems/${slug}`, status });
}

test("what is no HTTP is answered with a problem, and the connection ends", async (t) => {
  const { port } = await listen(t);
  for (const request of [
    "nonsense\r\n\r\n",
    "GET / HTTP/9.9\r\n\r\n",
    "GET /livez HTTP/1.1\r\nHost: a\r\nBad Header: 1\r\n\r\n",
    "\u0016\u0003\u0001",
  ]) {
    assertRawProblem(await exchange(port, request), 400, "malformed-request");
  }
});

test("after a good request, a bad one on the same connection is answered too", async (t) => {
  const { port } = await listen(t);
  const socket = connect(port, "127.0.0.1");
  socket.write("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
  await once(socket, "readable");
  assert.match(String(socket.read()), /^HTTP\/1.1 200 /);
  socket.write("nonsense\r\n\r\n");
  assertRawProblem(await readAll(socket), 400, "malformed-request");
});

test("a request that never finishes is 408, in its headers or in its body", async (t) => {
  const { api, port } = await listen(t);
  api.app.server.requestTimeout = 50;
  api.app.server.headersTimeout = 50;
  const head = [
    "PUT /v1/bans/203.0.113.9 HTTP/1.1",
    "Host: a",
    authorization,
    "Content-Type: application/json",
    "Content-Length: 2",
  ];
  const answers = await Promise.all([exchange(port, ...head), exchange(port, ...head, "", "{")]);
  for (const answer of answers) assertRawProblem(answer, 408, "request-timeout");
  assert.equal(api.store.revision(), 0);
});

test("headers beyond 16 KiB are 431", async (t) => {
  const { port } = await listen(t);
  assertRawProblem(
    await exchange(port, "GET /livez HTTP/1.1", "Host: a", `X: ${"x".repeat(17_000)}`, "", ""),
    431,
    "header-too-large",
  );
});

test("a request without Host is 400", async (t) => {
  const { port } = await listen(t);
  assertRawProblem(
    await exchange(port, "GET /v1/bans HTTP/1.1", authorization, "Connection: close", "", ""),
    400,
    "malformed-request",
  );
});

test("a request with several Hosts is 400, whichever of them would be right", async (t) => {
  const { port } = await listen(t);
  const answer = await exchange(port, "GET /livez HTTP/1.1", "Host: a", "host: b", "Connection: close", "", "");
  assertRawProblem(answer, 400, "malformed-request");
});

test("an expectation that nobody knows is ignored", async (t) => {
  const { port } = await listen(t);
  const answer = await exchange(port, "GET /livez HTTP/1.1", "Host: a", "Expect: wonders", "Connection: close", "", "");
  assert.match(answer, /^HTTP\/1.1 200 /);
});

test("a body that is shorter than it says when the caller gives up stores nothing", async (t) => {
  const { api, port } = await listen(t);
  const socket = connect(port, "127.0.0.1");
  socket.end(
    [
      "PUT /v1/bans/203.0.113.9 HTTP/1.1",
      "Host: a",
      authorization,
      "Content-Type: application/json",
      "Content-Length: 50",
      "",
      "{}",
    ].join("\r\n"),
  );
  await readAll(socket);
  assert.equal(api.store.revision(), 0);
});

test("an absolute request target is routed like its path", async (t) => {
  const { port } = await listen(t);
  const answer = await exchange(port, "GET http://a/v1/policies HTTP/1.1", "Host: a", "Connection: close", "", "");
  assertRawProblem(answer, 401, "unauthorized");
});

test("closing lets the request under way finish and then ends its connection", async (t) => {
  const { api, port } = await listen(t);
  const socket = connect(port, "127.0.0.1");
  const head = [
    "PUT /v1/bans/203.0.113.9 HTTP/1.1",
    "Host: a",
    authorization,
    "Content-Type: application/json",
    "Content-Length: 2",
    "",
    "",
  ];
  const arrived = once(api.app.server, "request");
  socket.write(head.join("\r\n"));
  await arrived;
  const closed = api.app.close();
  socket.write("{}");
  const answer = await readAll(socket);
  assert.match(answer, /^HTTP\/1.1 201 /);
  assert.match(answer, /^connection: close$/im);
  await closed;
  assert.equal(api.store.operatorBans().length, 1);
});
