import assert from "node:assert/strict";
import { test } from "node:test";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { createTestServices, sampleBanRequest, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();

test("a ban ends the connections that its address has open, and says how many", async (t) => {
  const { connections, bans } = createTestServices(t);
  connections.open("203.0.113.9", 3306, 3);
  connections.open("198.51.100.1", 443);
  connections.open("198.51.100.2", 443);
  assert.equal((await bans.put("203.0.113.9", sampleBanRequest(), {}, terms)).severed, 3);
  assert.equal((await bans.create("198.51.100.0/24", sampleBanRequest(), terms)).severed, 2);
  assert.deepEqual(connections.severed, [["203.0.113.9"], ["198.51.100.0/24"]]);
});

test("a ban that is put again ends what was opened or left open meanwhile", async (t) => {
  const { connections, enforcer, bans } = createTestServices(t);
  connections.open("203.0.113.9", 3306);
  enforcer.delay("the lock is held");
  assert.equal((await bans.put("203.0.113.9", sampleBanRequest(), {}, terms)).severed, null);
  enforcer.delay(undefined);
  const again = await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
  assert.deepEqual([again.changed, again.severed], [false, 1]);
});

test("connections are left alone when that is asked, and while the kernel does not hold the ban", async (t) => {
  const { connections, enforcer, bans } = createTestServices(t);
  assert.equal((await bans.put("203.0.113.9", sampleBanRequest({ sever: false }), {}, terms)).severed, null);
  enforcer.delay("the lock is held");
  assert.equal((await bans.put("203.0.113.10", sampleBanRequest({ sever: true }), {}, terms)).severed, null);
  assert.deepEqual(connections.severed, []);
});

test("a ban holds when its connections can't be ended, and says so", async (t) => {
  const { connections, bans } = createTestServices(t);
  connections.fail(new EnforcementDelayed("conntrack is not installed"));
  const { created, enforced, severed } = await bans.create("203.0.113.9", sampleBanRequest(), terms);
  assert.deepEqual([created, enforced, severed], [true, true, null]);
});
