import assert from "node:assert/strict";
import { test } from "node:test";
import { createTestServices, insistingTerms, sampleBanRequest, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();

test("a network is banned where the kernel has room for networks", async (t) => {
  const { firewall, bans } = createTestServices(t);
  for (const network of ["198.51.100.0/24", "2001:db8::/64", "128.0.0.0/1"]) {
    const { resource, created } = await bans.put(network, sampleBanRequest(), {}, insistingTerms());
    assert.deepEqual([resource.address, resource.enforced, created], [network, true, true]);
  }
  assert.equal(firewall.applied.operatorBans.length, 3);
});

test("a network can't be banned where the kernel has no room for networks, and the remedy is told", async (t) => {
  const { store, firewall, bans } = createTestServices(t);
  firewall.setBanRoom({ networks: false, remedy: "install ipset" });
  const refused = { code: "network-unsupported", message: /198\.51\.100\.0\/24 is a network.*install ipset/ };
  await assert.rejects(bans.put("198.51.100.0/24", sampleBanRequest(), {}, terms), refused);
  await assert.rejects(bans.create("198.51.100.0/24", sampleBanRequest(), terms), refused);
  await bans.put("198.51.100.0/32", sampleBanRequest(), {}, terms);
  assert.deepEqual(
    store.operatorBans().map((ban) => ban.address),
    ["198.51.100.0"],
  );
});

for (const everything of ["0.0.0.0/0", "::/0"]) {
  test(`${everything} can't be banned by anybody, as it overlaps what is protected`, async (t) => {
    const { bans } = createTestServices(t);
    await assert.rejects(bans.put(everything, sampleBanRequest(), {}, insistingTerms()), {
      code: "lockout",
      message: /protect/i,
    });
  });
}

for (const address of ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "10.0.0.0/8"]) {
  test(`${address} is protected and can't be banned`, async (t) => {
    const { store, bans } = createTestServices(t);
    await assert.rejects(bans.put(address, sampleBanRequest(), {}, terms), {
      code: "lockout",
      message: /protected networks can't be banned/i,
    });
    assert.deepEqual(store.operatorBans(), []);
  });
}

test("a full list takes no further address, but changes to those on it and the other family", async (t) => {
  const { store, firewall, clock, bans } = createTestServices(t);
  firewall.setBanRoom({ capacity: 2, remedy: "remove bans, or ban networks" });
  await bans.put("203.0.113.1", sampleBanRequest(), {}, terms);
  await bans.put("203.0.113.2", sampleBanRequest({ expiry: { ttlSeconds: 60 } }), {}, terms);
  const revision = store.revision();
  await assert.rejects(bans.put("203.0.113.3", sampleBanRequest(), {}, terms), {
    code: "no-room",
    message: /room for 2 bans of IPv4.*remove bans, or ban networks/,
  });
  await assert.rejects(bans.create("203.0.113.3", sampleBanRequest(), terms), { code: "no-room" });
  assert.equal(store.revision(), revision);
  await bans.put("203.0.113.1", sampleBanRequest({ reason: "another" }), {}, terms);
  await bans.put("2001:db8::1", sampleBanRequest(), {}, terms);
  clock.advance(60_000);
  await bans.put("203.0.113.3", sampleBanRequest(), {}, terms);
  assert.deepEqual(
    (await bans.list({})).map((ban) => ban.address),
    ["203.0.113.1", "203.0.113.3", "2001:db8::1"],
  );
});

test("32 writers at the same time never exceed the room", async (t) => {
  const { store, firewall, bans } = createTestServices(t);
  firewall.setBanRoom({ capacity: 10 });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 32 }, (_, index) => bans.create(`203.0.113.${index}`, sampleBanRequest(), terms)),
  );
  assert.equal(outcomes.filter((outcome) => outcome.status === "fulfilled").length, 10);
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") assert.equal(outcome.reason.code, "no-room");
  }
  assert.equal(store.operatorBans().length, 10);
});

test("a family that lost room keeps the bans that it has, and takes no more", async (t) => {
  const { firewall, bans } = createTestServices(t);
  for (const number of [1, 2, 3]) await bans.put(`203.0.113.${number}`, sampleBanRequest(), {}, terms);
  firewall.setBanRoom({ capacity: 2 });
  await bans.put("203.0.113.1", sampleBanRequest({ reason: "another" }), {}, terms);
  await bans.put("2001:db8::1", sampleBanRequest(), {}, terms);
  await assert.rejects(bans.put("203.0.113.4", sampleBanRequest(), {}, terms), { code: "no-room" });
});
