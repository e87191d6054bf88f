import assert from "node:assert/strict";
import { test } from "node:test";
import { banVersion } from "../../src/domain/ban-service.ts";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { createTestServices, sampleBanRequest, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();

test("a ban is stored under its canonical address and enforced", async (t) => {
  const { store, firewall, clock, bans } = createTestServices(t);
  const outcome = await bans.put("::ffff:203.0.113.9", sampleBanRequest({ expiry: { ttlSeconds: 90 } }), {}, terms);
  const since = clock.now();
  const expiresAt = since + 90_000;
  const resource = {
    address: "203.0.113.9",
    expiresAt,
    enforced: true,
    causes: [{ by: "operator", actor: "ci", reason: "scanner", since, expiresAt }],
  };
  assert.deepEqual(outcome, { resource, created: true, changed: true, enforced: true, severed: 0 });
  assert.deepEqual(await bans.get("203.0.113.9"), resource);
  assert.deepEqual(store.operatorBan("203.0.113.9"), {
    address: "203.0.113.9",
    actor: "ci",
    reason: "scanner",
    since,
    expiresAt,
  });
  assert.deepEqual(
    firewall.applied.operatorBans.map((ban) => ban.address),
    ["203.0.113.9"],
  );
});

test("text of an operator comes back verbatim", async (t) => {
  const { bans } = createTestServices(t);
  const reason = "' \" ` $(reboot) 👩‍👩‍👧 \\";
  const { resource } = await bans.create("203.0.113.9", sampleBanRequest({ reason }), terms);
  assert.deepEqual(resource.causes[0], {
    by: "operator",
    actor: "ci",
    reason,
    since: resource.causes[0]?.since,
    expiresAt: null,
  });
});

test("a ban that the kernel does not hold yet says so", async (t) => {
  const { store, enforcer, bans } = createTestServices(t);
  enforcer.delay("the lock is held");
  const outcome = await bans.create("203.0.113.9", sampleBanRequest(), terms);
  assert.deepEqual([outcome.created, outcome.enforced, outcome.resource.enforced], [true, false, false]);
  assert.equal(store.operatorBans().length, 1);
  enforcer.delay(undefined);
  assert.equal((await bans.get("203.0.113.9")).enforced, false);
});

test("an address that an operator has banned can't be created again; one that only a policy has can", async (t) => {
  const { firewall, bans, kernelBan } = createTestServices(t);
  await bans.create("203.0.113.9", sampleBanRequest(), terms);
  await assert.rejects(bans.create("203.0.113.9", sampleBanRequest(), terms), { code: "already-exists" });
  firewall.setPolicyBans([kernelBan("203.0.113.10", "mysql")]);
  const outcome = await bans.create("203.0.113.10", sampleBanRequest(), terms);
  assert.equal(outcome.created, true);
  assert.deepEqual(
    outcome.resource.causes.map((cause) => cause.by),
    ["operator", "policy"],
  );
});

test("a put of what is there changes nothing", async (t) => {
  const { store, clock, bans } = createTestServices(t);
  const expiresAt = clock.now() + 60_000;
  for (const expiry of [null, { expiresAt }]) {
    await bans.put("203.0.113.9", sampleBanRequest({ expiry }), {}, terms);
    const revision = store.revision();
    clock.advance(1_000);
    const outcome = await bans.put("203.0.113.9", sampleBanRequest({ expiry }), {}, terms);
    assert.deepEqual([outcome.created, outcome.changed, outcome.enforced], [false, false, true]);
    assert.equal(store.revision(), revision);
    assert.equal(outcome.resource.causes[0]?.since, clock.now() - 1_000);
  }
});

for (const [what, second, who] of [
  ["another reason", sampleBanRequest({ reason: "another" }), terms],
  ["another actor", sampleBanRequest(), sampleTerms({ caller: { actor: "anna" } })],
  ["a time to live", sampleBanRequest({ expiry: { ttlSeconds: 60 } }), terms],
] as const) {
  test(`a put with ${what} starts the ban anew`, async (t) => {
    const { clock, bans } = createTestServices(t);
    await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
    clock.advance(1_000);
    const outcome = await bans.put("203.0.113.9", second, {}, who);
    assert.deepEqual([outcome.created, outcome.changed], [false, true]);
    assert.equal(outcome.resource.causes[0]?.since, clock.now());
  });
}

test("a put with a time to live is a change, even where it ends when the present ban does", async (t) => {
  const { clock, bans } = createTestServices(t);
  await bans.put("203.0.113.9", sampleBanRequest({ expiry: { expiresAt: clock.now() + 61_000 } }), {}, terms);
  clock.advance(1_000);
  const outcome = await bans.put("203.0.113.9", sampleBanRequest({ expiry: { ttlSeconds: 60 } }), {}, terms);
  assert.equal(outcome.changed, true);
  assert.equal(outcome.resource.causes[0]?.since, clock.now());
});

test("a put with the same time to live starts the time anew", async (t) => {
  const { clock, bans } = createTestServices(t);
  await bans.put("203.0.113.9", sampleBanRequest({ expiry: { ttlSeconds: 60 } }), {}, terms);
  clock.advance(1_000);
  const outcome = await bans.put("203.0.113.9", sampleBanRequest({ expiry: { ttlSeconds: 60 } }), {}, terms);
  assert.equal(outcome.changed, true);
  assert.equal(outcome.resource.expiresAt, clock.now() + 60_000);
});

test("a ban that has ended is not there any more, before anybody removes it", async (t) => {
  const { store, clock, bans } = createTestServices(t);
  await bans.put("203.0.113.9", sampleBanRequest({ expiry: { ttlSeconds: 60 } }), {}, terms);
  clock.advance(59_999);
  assert.equal((await bans.list({})).length, 1);
  clock.advance(1);
  assert.deepEqual(await bans.list({}), []);
  await assert.rejects(bans.get("203.0.113.9"), { code: "not-found" });
  await assert.rejects(bans.remove("203.0.113.9", {}, terms), { code: "not-found" });
  assert.equal(store.operatorBans().length, 1);
  assert.equal((await bans.create("203.0.113.9", sampleBanRequest(), terms)).created, true);
});

for (const [what, different, pointer] of [
  ["a line break in the reason", { reason: "a\nb" }, "/reason"],
  ["a NUL in the reason", { reason: "\0" }, "/reason"],
  ["half a surrogate pair in the reason", { reason: "\udc00" }, "/reason"],
  ["201 characters of reason", { reason: "é".repeat(201) }, "/reason"],
  ["no time to live", { expiry: { ttlSeconds: 0 } }, "/ttlSeconds"],
  ["half a second to live", { expiry: { ttlSeconds: 0.5 } }, "/ttlSeconds"],
  ["more than ten years to live", { expiry: { ttlSeconds: 315_360_001 } }, "/ttlSeconds"],
  ["an end in the past", { expiry: { expiresAt: Date.UTC(2026, 10, 22, 8) } }, "/expiresAt"],
  ["an end that is no time", { expiry: { expiresAt: Number.NaN } }, "/expiresAt"],
] as const) {
  test(`a ban refuses ${what} and names ${pointer}`, async (t) => {
    const { store, bans } = createTestServices(t);
    await assert.rejects(
      bans.put("203.0.113.9", sampleBanRequest(different), {}, terms),
      (error: { code: string; errors: { pointer: string }[] }) => {
        assert.equal(error.code, "invalid-input");
        assert.deepEqual(
          error.errors.map((field) => field.pointer),
          [pointer],
        );
        return true;
      },
    );
    assert.deepEqual(store.operatorBans(), []);
  });
}

test("200 characters of reason are counted as people count them, and ten years are taken", async (t) => {
  const { bans } = createTestServices(t);
  await bans.put("203.0.113.9", sampleBanRequest({ reason: "🧱".repeat(200), expiry: { ttlSeconds: 315_360_000 } }), {}, terms);
  assert.equal((await bans.list({})).length, 1);
});

test("an address that is none is refused by every operation", async (t) => {
  const { bans } = createTestServices(t);
  const matches = (error: { code: string; errors: { pointer: string; message: string }[] }) => {
    assert.equal(error.code, "invalid-input");
    assert.equal(error.errors[0]?.pointer, "/address");
    assert.match(error.errors[0].message, /leading zeros/);
    return true;
  };
  await assert.rejects(bans.get("010.0.0.1"), matches);
  await assert.rejects(bans.create("010.0.0.1", sampleBanRequest(), terms), matches);
  await assert.rejects(bans.put("010.0.0.1", sampleBanRequest(), {}, terms), matches);
  await assert.rejects(bans.remove("010.0.0.1", {}, terms), matches);
});

test("a network with host bits is refused by the name of its canonical form", async (t) => {
  const { bans } = createTestServices(t);
  await assert.rejects(bans.put("198.51.100.7/24", sampleBanRequest(), {}, terms), {
    code: "invalid-input",
    message: /198\.51\.100\.0\/24/,
  });
});

test("removing lifts every cause, in the store and in the kernel", async (t) => {
  const { store, firewall, enforcer, bans, kernelBan } = createTestServices(t);
  firewall.setPolicyBans([kernelBan("203.0.113.9", "mysql"), kernelBan("2001:db8:1:2::/64", "mysql")]);
  await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
  assert.deepEqual(await bans.remove("::ffff:203.0.113.9", {}, terms), { enforced: true });
  assert.equal(enforcer.requests.at(-1), "bans");
  assert.deepEqual(firewall.applied.lifts, ["203.0.113.9"]);
  assert.deepEqual(store.lifts(), []);
  assert.deepEqual(store.operatorBans(), []);
  assert.deepEqual(await bans.remove("2001:db8:1:2::/64", {}, terms), { enforced: true });
  assert.deepEqual(await bans.list({}), []);
  await assert.rejects(bans.remove("203.0.113.9", {}, terms), { code: "not-found" });
});

test("writes hold to If-Match and If-None-Match", async (t) => {
  const { bans } = createTestServices(t);
  const refused = { code: "precondition-failed" };
  await assert.rejects(bans.put("203.0.113.9", sampleBanRequest(), { ifMatch: "*" }, terms), refused);
  const { resource: first } = await bans.put("203.0.113.9", sampleBanRequest(), { ifNoneMatch: "*" }, terms);
  await assert.rejects(bans.put("203.0.113.9", sampleBanRequest(), { ifNoneMatch: "*" }, terms), refused);
  const { resource: second } = await bans.put(
    "203.0.113.9",
    sampleBanRequest({ reason: "another" }),
    {
      ifMatch: [banVersion(first)],
    },
    terms,
  );
  await assert.rejects(bans.remove("203.0.113.9", { ifMatch: [banVersion(first)] }, terms), refused);
  assert.deepEqual(await bans.remove("203.0.113.9", { ifMatch: [banVersion(second)] }, terms), { enforced: true });
});

test("of many who change one version at the same time one succeeds", async (t) => {
  const { bans } = createTestServices(t);
  const { resource } = await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, (_, index) =>
      bans.put("203.0.113.9", sampleBanRequest({ reason: `${index}` }), { ifMatch: [banVersion(resource)] }, terms),
    ),
  );
  assert.equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 1);
});

test("a ban's version does not depend on whether the kernel holds it yet", async (t) => {
  const { enforcer, bans } = createTestServices(t);
  const { resource } = await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
  enforcer.delay("the rules are gone");
  const later = await bans.get("203.0.113.9");
  assert.notEqual(later.enforced, resource.enforced);
  assert.equal(banVersion(later), banVersion(resource));
});

test("a policy's ban stays lifted over a crash between the store and the kernel", async (t) => {
  const { store, firewall, enforcer, bans, kernelBan } = createTestServices(t);
  firewall.setPolicyBans([kernelBan("203.0.113.9", "mysql")]);
  enforcer.delay("the lock is held");
  assert.deepEqual(await bans.remove("203.0.113.9", {}, terms), { enforced: false });
  assert.deepEqual(store.lifts(), ["203.0.113.9"]);
});

test("while the kernel can't be read, its bans are those that were seen last, and none counts as enforced", async (t) => {
  const { store, firewall, bans, kernelBan } = createTestServices(t);
  await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
  await store.transact((change) => change.putKernelBan(kernelBan("203.0.113.10", "mysql")));
  firewall.failReads(new EnforcementDelayed("the lock is held"));
  assert.deepEqual(
    (await bans.list({})).map(({ address, enforced }) => `${address} ${enforced}`),
    ["203.0.113.9 false", "203.0.113.10 false"],
  );
  const { created, resource } = await bans.put("203.0.113.11", sampleBanRequest(), {}, terms);
  assert.deepEqual([created, resource.enforced], [true, false]);
  assert.deepEqual(await bans.remove("203.0.113.10", {}, terms), { enforced: true });
});
