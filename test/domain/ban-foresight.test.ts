import assert from "node:assert/strict";
import { test } from "node:test";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { createTestServices, sampleBanRequest, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();

test("a rehearsal of a ban answers what the write would, and does nothing", async (t) => {
  const { store, firewall, enforcer, connections, clock, bans } = createTestServices(t);
  connections.open("203.0.113.9", 443, 2);
  const foreseen = await bans.foresee.put("::ffff:203.0.113.9", sampleBanRequest({ expiry: { ttlSeconds: 60 } }), {}, terms);
  const since = clock.now();
  const expiresAt = since + 60_000;
  const causes = [{ by: "operator", actor: "ci", reason: "scanner", since, expiresAt }];
  assert.deepEqual(foreseen, {
    changed: true,
    created: true,
    result: { resource: { address: "203.0.113.9", expiresAt, enforced: true, causes }, severed: 2 },
    plan: { ipv4: [], ipv6: [], recent: [], ipset: ["add cld4-operator 203.0.113.9"] },
    impact: { sources: [{ source: "203.0.113.9", connections: 2, limit: 0, outcome: "banned" }] },
    warnings: [],
  });
  assert.deepEqual([store.revision(), enforcer.requests, firewall.passes, connections.severed], [0, [], [], []]);
});

test("a rehearsal of a ban joins the kernel's causes, and knows what is there already", async (t) => {
  const { firewall, bans, kernelBan } = createTestServices(t);
  firewall.setPolicyBans([kernelBan("203.0.113.9", "mysql")]);
  const put = await bans.foresee.put("203.0.113.9", sampleBanRequest(), {}, terms);
  assert.deepEqual([put.created, put.result.resource.causes.map(({ by }) => by)], [false, ["operator", "policy"]]);
  assert.equal((await bans.foresee.create("203.0.113.9", sampleBanRequest(), terms)).created, true);
  await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
  const again = await bans.foresee.put("203.0.113.9", sampleBanRequest(), {}, terms);
  assert.deepEqual([again.changed, again.created], [false, false]);
  await assert.rejects(bans.foresee.create("203.0.113.9", sampleBanRequest(), terms), { code: "already-exists" });
});

test("a rehearsal of a removal and of a batch shows what they would leave", async (t) => {
  const { store, firewall, bans } = createTestServices(t);
  for (const address of ["203.0.113.1", "203.0.113.2"]) await bans.put(address, sampleBanRequest(), {}, terms);
  const revision = store.revision();
  const removal = await bans.foresee.remove("203.0.113.1", {}, terms, { graceSeconds: 60 });
  assert.deepEqual([removal.changed, removal.created, removal.result, removal.impact.sources], [true, false, null, []]);
  assert.deepEqual(removal.plan.recent, [{ list: "cld4-host", write: "-203.0.113.1" }]);
  assert.deepEqual(
    firewall.plans.at(-1)?.graces.map(({ address }) => address),
    ["203.0.113.1"],
  );
  const put = [{ address: "203.0.113.3", ...sampleBanRequest() }];
  const batch = await bans.foresee.batch({ put, delete: ["203.0.113.2", "203.0.113.4"] }, terms);
  assert.deepEqual([batch.changed, batch.created], [true, true]);
  assert.deepEqual(batch.result, { created: 1, updated: 0, deleted: 1, unchanged: 1, severed: 0 });
  const nothing = await bans.foresee.batch({ put: [], delete: [] }, terms);
  assert.deepEqual([nothing.changed, nothing.result.severed], [false, null]);
  assert.equal(store.revision(), revision);
});

test("a rehearsal of a ban refuses what the write would refuse", async (t) => {
  const { firewall, connections, bans } = createTestServices(t);
  const { foresee } = bans;
  await assert.rejects(foresee.put("here", sampleBanRequest(), {}, terms), { code: "invalid-input" });
  await assert.rejects(foresee.put("203.0.113.9", sampleBanRequest({ reason: "a\nb" }), {}, terms), { code: "invalid-input" });
  await assert.rejects(foresee.put("203.0.113.9", sampleBanRequest(), { ifMatch: "*" }, terms), { code: "precondition-failed" });
  await assert.rejects(foresee.remove("203.0.113.9", {}, terms), { code: "not-found" });
  await assert.rejects(foresee.remove("203.0.113.9", {}, terms, { graceSeconds: 0 }), { code: "invalid-input" });
  await assert.rejects(foresee.batch({ put: [], delete: ["here"] }, terms), { code: "invalid-input" });
  firewall.setBanRoom({ capacity: 0 });
  await assert.rejects(foresee.put("203.0.113.9", sampleBanRequest(), {}, terms), { code: "no-room" });
  firewall.setBanRoom({ capacity: 9, networks: false });
  await assert.rejects(foresee.put("198.51.100.0/24", sampleBanRequest(), {}, terms), { code: "network-unsupported" });
  connections.fail(new EnforcementDelayed("conntrack can't be read"));
  await assert.rejects(foresee.put("203.0.113.9", sampleBanRequest(), {}, terms), { code: "not-ready" });
});

test("a rehearsal of a ban that the kernel could not hold now says so", async (t) => {
  const { enforcer, bans } = createTestServices(t);
  enforcer.delay("the lock is held");
  const { result, warnings } = await bans.foresee.put("203.0.113.9", sampleBanRequest(), {}, terms);
  assert.equal(result.resource.enforced, false);
  assert.match(warnings.join(), /not in step now \(the lock is held\)/);
});
