import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer } from "./documented-answer.ts";
import { type Api, assertProblem, startApi } from "./service.ts";

const path = "/v1/bans/batch";

function manyBans(count: number): readonly { readonly address: string }[] {
  return Array.from({ length: count }, (_, index) => ({ address: `198.18.${index >> 8}.${index & 255}` }));
}

function assertNothingApplied(api: Api, answer: Answer): void {
  assert.equal(answer.headers["connlimitd-changed"], "false");
  assert.equal(api.store.revision(), 0);
  assert.equal(api.enforcer.requests.length, 0);
}

for (const [what, item, pointer, says] of [
  ["host bits", { address: "10.0.0.1/8" }, "/address", /10\.0\.0\.0\/8/],
  ["no address", {}, "/address", /is required/],
  ["a number for an address", { address: 5 }, "/address", /must be a string/],
  ["an end in the past", { address: "203.0.113.9", expiresAt: "2020-01-01T00:00:00Z" }, "/expiresAt", /future/],
  ["a leap second", { address: "203.0.113.9", expiresAt: "2030-12-31T23:59:60Z" }, "/expiresAt", /leap second/],
  ["an unknown field", { address: "203.0.113.9", "t/t~l": 5 }, "/t~1t~0l", /known are address, reason/],
  ["a line break in its reason", { address: "203.0.113.9", reason: "a\nb" }, "/reason", /control characters/],
  ["no for whether to sever", { address: "203.0.113.9", sever: "no" }, "/sever", /true or false/],
] as const) {
  test(`one item with ${what} among 10,000 is pointed at, and nothing is applied`, async (t) => {
    const api = await startApi(t);
    api.firewall.setBanRoom({ capacity: 20_000 });
    const put = manyBans(10_000).map((ban, index) => (index === 6789 ? item : ban));
    const answer = await api.send("POST", path, { put });
    const [message = ""] = assertProblem(answer, 400, "invalid-input", [`/put/6789${pointer}`]);
    assert.match(message, says);
    assertNothingApplied(api, answer);
  });
}

test("an address to lift that is none is pointed at", async (t) => {
  const api = await startApi(t);
  const answer = await api.send("POST", path, { put: manyBans(2), delete: ["203.0.113.9", "nowhere"] });
  assertProblem(answer, 400, "invalid-input", ["/delete/1"]);
  assertNothingApplied(api, answer);
});

test("each address stands once, however it is written", async (t) => {
  const api = await startApi(t);
  const put = [{ address: "203.0.113.9" }, { address: "203.0.113.10" }, { address: "::ffff:203.0.113.9" }];
  const answer = await api.send("POST", path, { put, delete: ["203.0.113.10/32"] });
  assertProblem(answer, 400, "invalid-input", ["/put/2/address", "/delete/0"]);
  assertNothingApplied(api, answer);
});

test("protected networks and networks that can't be banned are pointed at", async (t) => {
  const api = await startApi(t);
  const lockout = await api.send("POST", path, { put: [{ address: "203.0.113.9" }, { address: "127.0.0.1" }] });
  assertProblem(lockout, 409, "lockout", ["/put/1/address"]);
  assertNothingApplied(api, lockout);
  api.firewall.setBanRoom({ networks: false });
  const networks = await api.send("POST", path, { put: [{ address: "203.0.113.9" }, { address: "198.51.100.0/24" }] });
  assertProblem(networks, 422, "network-unsupported", ["/put/1/address"]);
  assertNothingApplied(api, networks);
});

test("a batch for which the kernel has no room is 507, and nothing is applied", async (t) => {
  const api = await startApi(t);
  api.firewall.setBanRoom({ capacity: 9 });
  const answer = await api.send("POST", path, { put: manyBans(10) });
  assertProblem(answer, 507, "no-room");
  assertNothingApplied(api, answer);
});

test("of more than a hundred wrong items the first hundred are listed, and the others counted", async (t) => {
  const api = await startApi(t);
  for (const [body, pointer, counted] of [
    [{ put: manyBans(10_000).map(() => ({ address: 1 })) }, "/put/0/address", "9900 more faults are not listed"],
    [
      { put: manyBans(10_000).map(() => ({ address: "x" })) },
      "/put/0/address",
      "10000 errors, of which the first 100 are listed",
    ],
    [{ delete: Array.from({ length: 10_000 }, () => null) }, "/delete/0", "9900 more faults are not listed"],
  ] as const) {
    const answer = await api.send("POST", path, body);
    const pointers = Array.from({ length: 100 }, (_, index) => pointer.replace("0", String(index)));
    assertProblem(answer, 400, "invalid-input", pointers);
    assert.ok(JSON.stringify(answer.body).includes(counted), counted);
    assertNothingApplied(api, answer);
  }
});

test("10,001 items in both lists together are too many, and far more are refused as fast", async (t) => {
  const api = await startApi(t);
  for (const body of [
    { put: manyBans(5001), delete: Array.from({ length: 5000 }, () => "203.0.113.9") },
    { put: manyBans(10_001) },
    { delete: Array.from({ length: 200_000 }, () => 0) },
  ]) {
    const answer = await api.send("POST", path, body);
    const [message = ""] = assertProblem(answer, 400, "invalid-input", [""]);
    assert.match(message, /at most 10000 items in put and delete together; it has/);
    assertNothingApplied(api, answer);
  }
});

test("a batch without items is refused", async (t) => {
  const api = await startApi(t);
  for (const body of [{}, { put: [] }, { put: [], delete: [] }]) {
    const [message] = assertProblem(await api.send("POST", path, body), 400, "invalid-input", [""]);
    assert.equal(message, "must have at least one item in put or delete");
  }
});

test("a batch of another shape is refused", async (t) => {
  const api = await startApi(t);
  const fields = Object.fromEntries(Array.from({ length: 50_000 }, (_, index) => [`field${index}`, 0]));
  for (const [body, pointers] of [
    [{ put: {} }, ["/put"]],
    [{ put: null, delete: "203.0.113.9" }, ["/put", "/delete"]],
    [{ puts: [] }, ["/puts"]],
    [{ put: ["203.0.113.9"] }, ["/put/0"]],
    [{ put: [[]], delete: [{ address: "203.0.113.9" }] }, ["/put/0", "/delete/0"]],
    [{ put: [fields] }, ["/put/0"]],
    [fields, [""]],
  ] as const) {
    const answer = await api.send("POST", path, body);
    assertProblem(answer, 400, "invalid-input", pointers);
    assertNothingApplied(api, answer);
  }
});

test("a batch of 4 MiB is read, and a byte more is 413", async (t) => {
  const api = await startApi(t);
  const body = JSON.stringify({ put: [{ address: "203.0.113.9" }] });
  const large = await api.send("POST", path, body.padEnd(4_194_305));
  assertProblem(large, 413, "payload-too-large");
  assert.partialDeepStrictEqual(large.body, { detail: "The body is larger than 4194304 bytes." });
  assertNothingApplied(api, large);
  assert.equal((await api.send("POST", path, body.padEnd(4_194_304))).status, 200);
});
