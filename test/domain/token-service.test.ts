import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DomainError } from "../../src/domain/errors.ts";
import { allows, scopes } from "../../src/domain/scope.ts";
import type { TokenRequest } from "../../src/domain/token-service.ts";
import { createTestServices, sampleTerms } from "../support/test-services.ts";
import { temporaryDirectory } from "../support/test-store.ts";

const terms = sampleTerms({ caller: { actor: "admin", admin: true } });

function request(different: Partial<TokenRequest> = {}): TokenRequest {
  return { name: "ci", scopes: ["bans:write"], expiresAt: null, ...different };
}

test("a secret is 256 random bits in base64url, and only its SHA-256 is stored", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const { tokens, store } = createTestServices(t, { stateDirectory });
  const { token, secret } = await tokens.create(request(), terms);
  assert.match(secret, /^[\w-]{43}$/);
  assert.equal(token.digest, createHash("sha256").update(secret).digest("hex"));
  const another = await tokens.create(request({ name: "another" }), terms);
  assert.notEqual(another.secret, secret);
  store.close();
  for (const file of ["state.db"]) {
    const bytes = readFileSync(join(stateDirectory, file));
    assert.ok(bytes.includes(token.digest) && !bytes.includes(secret) && !bytes.includes(another.secret));
  }
});

test("a token is known by its secret and by nothing like it, from the answer on until it is removed", async (t) => {
  const { tokens } = createTestServices(t);
  const { token, secret } = await tokens.create(request(), terms);
  assert.deepEqual(tokens.identify(secret), token);
  for (const text of ["", secret.slice(1), `${secret}x`, secret.toUpperCase(), token.digest])
    assert.equal(tokens.identify(text), undefined);
  await tokens.remove("ci", terms);
  assert.equal(tokens.identify(secret), undefined);
});

test("a token expires to the millisecond, and stays in the list", async (t) => {
  const { tokens, clock } = createTestServices(t);
  const { token, secret } = await tokens.create(request({ expiresAt: clock.now() + 60_000 }), terms);
  clock.advance(59_999);
  assert.deepEqual(tokens.identify(secret), token);
  clock.advance(1);
  assert.equal(tokens.identify(secret), "expired");
  assert.deepEqual(tokens.list(), [token]);
});

test("each of many tokens is told from the others", async (t) => {
  const { tokens } = createTestServices(t);
  const issued = await Promise.all(
    Array.from({ length: 50 }, (_, index) => tokens.create(request({ name: `t${index}` }), terms)),
  );
  for (const { token, secret } of issued) assert.deepEqual(tokens.identify(secret), token);
  assert.deepEqual(
    tokens.list().map(({ name }) => name),
    issued.map(({ token }) => token.name).sort(),
  );
});

test("scopes are kept once and in one order", async (t) => {
  const { tokens } = createTestServices(t);
  const { token } = await tokens.create(request({ scopes: ["policies:write", "read", "read"] }), terms);
  assert.deepEqual(token.scopes, ["read", "policies:write"]);
});

for (const [what, different, pointer] of [
  ["a name that no policy could have", { name: "CI" }, "/name"],
  ["the name of the token in the file", { name: "admin" }, "/name"],
  ["the name of the unix socket", { name: "socket" }, "/name"],
  ["the name of the service itself", { name: "service" }, "/name"],
  ["no scope", { scopes: [] }, "/scopes"],
  ["an end in the past", { expiresAt: Date.UTC(2026, 10, 22, 7) }, "/expiresAt"],
  ["an end that is now", { expiresAt: Date.UTC(2026, 10, 22, 8) }, "/expiresAt"],
  ["an end that is no time", { expiresAt: Number.NaN }, "/expiresAt"],
] as const) {
  test(`a token with ${what} is refused, rehearsed or not`, async (t) => {
    const { tokens } = createTestServices(t);
    const matches = (error: unknown): boolean =>
      error instanceof DomainError && error.code === "invalid-input" && error.errors.some((wrong) => wrong.pointer === pointer);
    await assert.rejects(tokens.create(request(different), terms), matches);
    assert.throws(() => tokens.foresee.create(request(different)), matches);
    assert.deepEqual(tokens.list(), []);
  });
}

test("a name is taken once, also by two who ask at the same time, until its token is removed", async (t) => {
  const { tokens } = createTestServices(t);
  const both = await Promise.allSettled([tokens.create(request(), terms), tokens.create(request(), terms)]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ["fulfilled", "rejected"],
  );
  await assert.rejects(tokens.create(request(), terms), { code: "already-exists" });
  assert.throws(() => tokens.foresee.create(request()), { code: "already-exists" });
  await tokens.remove("ci", terms);
  await tokens.create(request(), terms);
});

test("a token that is not there can't be removed, and that of the file says where it is", async (t) => {
  const { tokens } = createTestServices(t);
  await assert.rejects(tokens.remove("ci", terms), { code: "not-found" });
  assert.throws(() => tokens.foresee.remove("ci"), { code: "not-found" });
  await assert.rejects(tokens.remove("admin", terms), { code: "not-found", message: /admin\.token, remove that file/ });
});

test("a rehearsal changes nothing and gives no secret away", async (t) => {
  const { tokens } = createTestServices(t);
  const foresight = tokens.foresee.create(request());
  assert.partialDeepStrictEqual(foresight, { changed: true, created: true, result: { name: "ci" }, impact: { sources: [] } });
  assert.deepEqual(tokens.list(), []);
  await tokens.create(request(), terms);
  assert.partialDeepStrictEqual(tokens.foresee.remove("ci"), { changed: true, result: null });
  assert.equal(tokens.list().length, 1);
});

test("admin may do everything, and no other scope allows another", () => {
  for (const needed of scopes) {
    assert.ok(allows(["admin"], needed));
    assert.ok(!allows([], needed));
    for (const held of ["read", "bans:write", "policies:write"] as const)
      assert.equal(allows([held], needed), held === needed, `${held} ${needed}`);
  }
});
