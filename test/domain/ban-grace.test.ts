import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestServices, sampleBanRequest, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();

test("a removal with grace keeps policies from banning the address until it ends", async (t) => {
  const { store, firewall, clock, bans, kernelBan } = createTestServices(t);
  firewall.setPolicyBans([kernelBan("2001:db8:1:2::/64", "mysql")]);
  await bans.remove("2001:db8:1:2::/64", {}, terms, { graceSeconds: 600 });
  const grace = { address: "2001:db8:1:2::/64", until: clock.now() + 600_000 };
  assert.deepEqual(store.graces(), [grace]);
  assert.deepEqual(firewall.applied.graces, [grace]);
});

test("a removal without a ban, or under a condition that does not hold, grants no grace", async (t) => {
  const { store, bans } = createTestServices(t);
  await assert.rejects(bans.remove("203.0.113.9", {}, terms, { graceSeconds: 600 }), { code: "not-found" });
  await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
  await assert.rejects(bans.remove("203.0.113.9", { ifMatch: ["another"] }, terms, { graceSeconds: 600 }), {
    code: "precondition-failed",
  });
  assert.deepEqual([store.graces(), store.lifts()], [[], []]);
});

test("a new grace replaces the one before; an operator's ban and a removal without grace leave it", async (t) => {
  const { store, clock, bans } = createTestServices(t);
  const until = () => store.grace("203.0.113.9")?.until;
  await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
  await bans.remove("203.0.113.9", {}, terms, { graceSeconds: 31_536_000 });
  assert.equal(until(), clock.now() + 31_536_000_000);
  await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
  await bans.remove("203.0.113.9", {}, terms);
  assert.equal(until(), clock.now() + 31_536_000_000);
  await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
  await bans.remove("203.0.113.9", {}, terms, { graceSeconds: 1 });
  assert.equal(until(), clock.now() + 1_000);
});

for (const graceSeconds of [0, -1, 1.5, 31_536_001, Number.NaN]) {
  test(`a grace of ${graceSeconds} seconds is refused`, async (t) => {
    const { bans } = createTestServices(t);
    await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
    await assert.rejects(bans.remove("203.0.113.9", {}, terms, { graceSeconds }), {
      code: "invalid-input",
      message: /graceSeconds takes a whole number of seconds from 1 to 31536000/,
    });
    assert.equal((await bans.list({})).length, 1);
  });
}
