import assert from "node:assert/strict";
import { test } from "node:test";
import { isRecord } from "../../src/api/requests/schema-words.ts";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { startApi } from "./service.ts";

test("a ban ends the connections that its address has open, and the answer says how many", async (t) => {
  const api = await startApi(t);
  api.connections.open("203.0.113.9", 3306, 2);
  api.connections.open("198.51.100.7", 22);
  for (const [method, url, body, severed] of [
    ["PUT", "/v1/bans/203.0.113.9", {}, 2],
    ["POST", "/v1/bans", { address: "198.51.100.0/24", sever: true }, 1],
  ] as const) {
    const answer = await api.send(method, url, body);
    assert.equal(answer.status, 201);
    assert.partialDeepStrictEqual(answer.body, { severed });
  }
  assert.deepEqual(api.connections.severed, [["203.0.113.9"], ["198.51.100.0/24"]]);
});

test("with sever false the connections stay, and the answer says null", async (t) => {
  const api = await startApi(t);
  api.connections.open("203.0.113.9", 3306, 2);
  const put = await api.send("PUT", "/v1/bans/203.0.113.9", { sever: false });
  assert.partialDeepStrictEqual(put.body, { enforced: true, severed: null });
  const post = await api.send("POST", "/v1/bans", { address: "203.0.113.10", sever: false });
  assert.partialDeepStrictEqual(post.body, { severed: null });
  assert.deepEqual(api.connections.severed, []);
});

test("where connections can't be ended the ban holds all the same, and the answer says null", async (t) => {
  const api = await startApi(t);
  api.connections.fail(new EnforcementDelayed("conntrack is missing"));
  const answer = await api.send("PUT", "/v1/bans/203.0.113.9", {});
  assert.equal(answer.status, 201);
  assert.partialDeepStrictEqual(answer.body, { enforced: true, severed: null });
});

test("what is read has no number of ended connections", async (t) => {
  const api = await startApi(t);
  await api.send("PUT", "/v1/bans/203.0.113.9", {});
  const { body } = await api.send("GET", "/v1/bans/203.0.113.9");
  assert.ok(isRecord(body));
  assert.deepEqual(Object.keys(body), ["address", "expiresAt", "enforced", "causes"]);
});
