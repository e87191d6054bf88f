import assert from "node:assert/strict";
import { test } from "node:test";
import { assertProblem, startApi } from "./service.ts";

const text = "must be text of at most 200 characters without control characters";
const time = "must be an RFC 3339 time, such as 2026-11-22T08:00:00Z";

interface Refusal {
  readonly what: string;
  readonly body: object;
  readonly pointers: readonly string[];
  readonly says: string | RegExp;
}

for (const [address, says] of [
  ["010.0.0.1", /leading zeros/],
  ["10.0.0.1/24", /10\.0\.0\.0\/24/],
  ["fe80::1%eth0", /zone/],
  ["10.0.0", /not an IPv4 or IPv6 address/],
  ["10.0.0.0/33", /at most 32/],
  ["-A INPUT", /not an IPv4 or IPv6 address/],
  ["::1\n", /not an IPv4 or IPv6 address/],
] as const) {
  test(`the address ${JSON.stringify(address)} is refused by every route`, async (t) => {
    const api = await startApi(t);
    const path = `/v1/bans/${encodeURIComponent(address)}`;
    for (const method of ["GET", "PUT", "DELETE"] as const) {
      const [message = ""] = assertProblem(
        await api.send(method, path, method === "PUT" ? {} : undefined),
        400,
        "invalid-input",
        ["address"],
      );
      assert.match(message, says);
    }
    const [message = ""] = assertProblem(await api.send("POST", "/v1/bans", { address }), 400, "invalid-input", ["/address"]);
    assert.match(message, says);
    for (const filter of ["covers", "within"]) {
      assertProblem(await api.send("GET", `/v1/bans?${filter}=${encodeURIComponent(address)}`), 400, "invalid-input", [filter]);
    }
    assert.equal(api.store.revision(), 0);
  });
}

const banRefusals: readonly Refusal[] = [
  {
    what: "a number for an address",
    body: { address: 5 },
    pointers: ["/address"],
    says: "must be a string with an IPv4 or IPv6 address or CIDR network",
  },
  {
    what: "an unknown field",
    body: { ttl: 5 },
    pointers: ["/ttl"],
    says: /known are address, reason, ttlSeconds, expiresAt, sever/,
  },
  { what: "its causes", body: { causes: [] }, pointers: ["/causes"], says: "is read-only; leave it out" },
  { what: "the number of ended connections", body: { severed: 1 }, pointers: ["/severed"], says: "is read-only; leave it out" },
  { what: "no for whether to sever", body: { sever: "no" }, pointers: ["/sever"], says: "must be true or false" },
  { what: "null for whether to sever", body: { sever: null }, pointers: ["/sever"], says: "must be true or false" },
  {
    what: "both times",
    body: { ttlSeconds: 5, expiresAt: "2030-01-01T00:00:00Z" },
    pointers: ["/ttlSeconds", "/expiresAt"],
    says: "must not be given together with expiresAt",
  },
  { what: "no time at all", body: { ttlSeconds: 0 }, pointers: ["/ttlSeconds"], says: "must be an integer from 1 to 315360000" },
  {
    what: "more than ten years",
    body: { ttlSeconds: 315_360_001 },
    pointers: ["/ttlSeconds"],
    says: "must be an integer from 1 to 315360000",
  },
  {
    what: "seconds as a string",
    body: { ttlSeconds: "60" },
    pointers: ["/ttlSeconds"],
    says: "must be an integer from 1 to 315360000",
  },
  { what: "an end in the past", body: { expiresAt: "2026-11-22T07:59:59Z" }, pointers: ["/expiresAt"], says: /future/ },
  {
    what: "an end in the past, by its offset",
    body: { expiresAt: "2026-11-22T09:30:00+02:00" },
    pointers: ["/expiresAt"],
    says: /future/,
  },
  { what: "an end without offset", body: { expiresAt: "2030-01-01T00:00:00" }, pointers: ["/expiresAt"], says: time },
  { what: "an end with a space", body: { expiresAt: "2030-01-01 00:00:00Z" }, pointers: ["/expiresAt"], says: time },
  { what: "a day that does not exist", body: { expiresAt: "2030-02-30T00:00:00Z" }, pointers: ["/expiresAt"], says: time },
  { what: "a leap second", body: { expiresAt: "2030-12-31T23:59:60Z" }, pointers: ["/expiresAt"], says: /leap second/ },
  { what: "a day alone", body: { expiresAt: "2030-01-01" }, pointers: ["/expiresAt"], says: time },
  { what: "milliseconds", body: { expiresAt: 1_893_456_000_000 }, pointers: ["/expiresAt"], says: time },
  { what: "null for an end", body: { expiresAt: null }, pointers: ["/expiresAt"], says: time },
  { what: "a long reason", body: { reason: "😀".repeat(201) }, pointers: ["/reason"], says: text },
  ...["\n", "\t", "\u0000", "\u001b[31m", "\u007f", "\u0085", "\ud800"].map((character) => ({
    what: `the reason ${JSON.stringify(character)}`,
    body: { reason: `a${character}b` },
    pointers: ["/reason"],
    says: text,
  })),
];

for (const { what, body, pointers, says } of banRefusals) {
  test(`a ban with ${what} is refused by PUT and POST, and nothing is stored`, async (t) => {
    const api = await startApi(t);
    for (const answer of [
      await api.send("PUT", "/v1/bans/203.0.113.9", body),
      await api.send("POST", "/v1/bans", { address: "203.0.113.9", ...body }),
    ]) {
      const [message = ""] = assertProblem(answer, 400, "invalid-input", pointers);
      if (typeof says === "string") assert.equal(message, says);
      else assert.match(message, says);
    }
    assert.equal(api.store.revision(), 0);
    assert.equal(api.enforcer.requests.length, 0);
  });
}
