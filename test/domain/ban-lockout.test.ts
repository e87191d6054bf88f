import assert from "node:assert/strict";
import { test } from "node:test";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { createTestServices, insistingTerms, sampleBanRequest, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();
const socket = sampleTerms({ caller: { actor: "socket", address: null, admin: true } });

for (const [who, address, found] of [
  ["its caller", "172.16.0.99", /172\.16\.0\.99, from which this request comes/],
  ["the network of its caller", "172.16.0.96/28", /172\.16\.0\.99, from which this request comes/],
  ["an SSH client", "172.16.0.200", /172\.16\.0\.200, which has an SSH connection to this host/],
  ["a default gateway", "172.16.0.1", /172\.16\.0\.1, a default gateway of this host/],
  ["this host", "172.16.0.10", /172\.16\.0\.10, an address of this host itself/],
  ["this host's IPv6 address", "fd00::/64", /fd00::10, an address of this host itself/],
  ["all of these", "172.16.0.0/24", /172\.16\.0\.99.*172\.16\.0\.200.*172\.16\.0\.1,.*172\.16\.0\.10,/],
  ["a quarter of the Internet", "128.0.0.0/7", /128\.0\.0\.0\/7 is wider than \/8/],
  ["a large part of IPv6", "4000::/15", /4000::\/15 is wider than \/16/],
] as const) {
  test(`a ban that would shut out ${who} is refused, and says who and why`, async (t) => {
    const { store, bans } = createTestServices(t);
    const refused = { code: "lockout", message: found };
    await assert.rejects(bans.put(address, sampleBanRequest(), {}, terms), refused);
    await assert.rejects(bans.create(address, sampleBanRequest(), terms), refused);
    await assert.rejects(bans.foresee.put(address, sampleBanRequest(), {}, terms), refused);
    await assert.rejects(bans.foresee.create(address, sampleBanRequest(), terms), refused);
    assert.deepEqual(store.operatorBans(), []);
  });
}

test("the widest bans that need no override are a /8 of IPv4 and a /16 of IPv6", async (t) => {
  const { bans } = createTestServices(t);
  for (const network of ["11.0.0.0/8", "2001::/16"]) await bans.create(network, sampleBanRequest(), terms);
  assert.equal((await bans.list({})).length, 2);
});

test("over a unix socket there is no caller to protect, but SSH clients, gateways and this host are", async (t) => {
  const { bans } = createTestServices(t);
  await bans.put("172.16.0.99", sampleBanRequest(), {}, { ...socket, allowLockout: false });
  for (const address of ["172.16.0.200", "172.16.0.1", "172.16.0.10"]) {
    await assert.rejects(bans.put(address, sampleBanRequest(), {}, socket), { code: "lockout" });
  }
});

test("an SSH client who has just gone can be banned, and a network of one who stays can't", async (t) => {
  const { bans, surroundings } = createTestServices(t);
  surroundings.set({ formerSshClients: ["172.16.0.201", "172.16.1.7"] });
  await bans.put("172.16.0.201", sampleBanRequest(), {}, terms);
  await bans.put("172.16.1.0/24", sampleBanRequest(), {}, terms);
  const refused = { code: "lockout", message: /172\.16\.0\.200, which has an SSH connection to this host\./ };
  await assert.rejects(bans.put("172.16.0.200/31", sampleBanRequest(), {}, terms), refused);
});

test("allowLockout overrides the guard for an administrator, and needs the scope", async (t) => {
  const { store, bans } = createTestServices(t);
  const forbidden = { code: "insufficient-scope", message: /allowLockout needs the scope admin/ };
  const daring = sampleTerms({ allowLockout: true });
  await assert.rejects(bans.put("172.16.0.99", sampleBanRequest(), {}, daring), forbidden);
  await assert.rejects(bans.create("203.0.113.9", sampleBanRequest(), daring), forbidden);
  await assert.rejects(bans.remove("203.0.113.9", {}, daring), forbidden);
  await assert.rejects(bans.batch({ put: [], delete: [] }, daring), forbidden);
  await assert.rejects(bans.foresee.put("203.0.113.9", sampleBanRequest(), {}, daring), forbidden);
  assert.deepEqual(store.operatorBans(), []);
  await bans.put("172.16.0.0/24", sampleBanRequest(), {}, insistingTerms());
  await bans.put("172.0.0.0/7", sampleBanRequest(), {}, insistingTerms());
  await bans.put("128.0.0.0/7", sampleBanRequest(), {}, insistingTerms());
  assert.equal(store.operatorBans().length, 3);
});

test("protected networks can't be overridden, by anyone", async (t) => {
  const { store, bans } = createTestServices(t);
  const refused = { code: "lockout", message: /Protected networks can't be banned/ };
  for (const address of ["127.0.0.1", "10.1.2.3", "10.0.0.0/8"]) {
    await assert.rejects(bans.put(address, sampleBanRequest(), {}, insistingTerms()), refused);
    await assert.rejects(bans.foresee.put(address, sampleBanRequest(), {}, insistingTerms()), refused);
    const put = [{ address, ...sampleBanRequest() }];
    await assert.rejects(bans.batch({ put, delete: [] }, insistingTerms()), { code: "lockout" });
  }
  assert.deepEqual(store.operatorBans(), []);
});

test("a rehearsal with an override warns of what it overrides", async (t) => {
  const { bans, surroundings } = createTestServices(t);
  const foreseen = await bans.foresee.put("172.16.0.99", sampleBanRequest(), {}, insistingTerms());
  assert.equal(foreseen.warnings.length, 1);
  assert.match(foreseen.warnings[0] ?? "", /^allowLockout overrides this: A ban of 172\.16\.0\.99 would shut out/);
  surroundings.fail(new EnforcementDelayed("conntrack can't be read"));
  const blind = await bans.foresee.put("172.16.0.99", sampleBanRequest(), {}, insistingTerms());
  assert.match(blind.warnings[0] ?? "", /can't be told now: conntrack can't be read/);
});

test("the items of a batch that would shut somebody out are pointed at, and nothing of it is applied", async (t) => {
  const { store, bans } = createTestServices(t);
  const put = ["203.0.113.9", "172.16.0.99", "128.0.0.0/7"].map((address) => ({ address, ...sampleBanRequest() }));
  const matches = (error: { code: string; message: string; errors: { pointer: string; message: string }[] }) => {
    assert.equal(error.code, "lockout");
    assert.match(
      error.message,
      /^Nothing of the batch was applied: \/put\/1\/address: A ban of 172\.16\.0\.99 .*[^.]\. The batch has 2 errors\.$/,
    );
    assert.deepEqual(
      error.errors.map(({ pointer }) => pointer),
      ["/put/1/address", "/put/2/address"],
    );
    return true;
  };
  await assert.rejects(bans.batch({ put, delete: [] }, terms), matches);
  await assert.rejects(bans.foresee.batch({ put, delete: [] }, terms), matches);
  assert.deepEqual(store.operatorBans(), []);
  await bans.batch({ put, delete: ["172.16.0.10"] }, insistingTerms());
  assert.equal(store.operatorBans().length, 3);
});

test("while it can't be told who would be shut out, a ban needs the override", async (t) => {
  const { store, bans, surroundings } = createTestServices(t);
  surroundings.fail(new EnforcementDelayed("conntrack can't be read"));
  const notReady = { code: "not-ready", message: /can't be told now: conntrack can't be read.*allowLockout=true/ };
  await assert.rejects(bans.put("203.0.113.9", sampleBanRequest(), {}, terms), notReady);
  await assert.rejects(bans.put("203.0.113.9", sampleBanRequest(), {}, socket), notReady);
  await assert.rejects(bans.batch({ put: [{ address: "203.0.113.9", ...sampleBanRequest() }], delete: [] }, terms), notReady);
  assert.deepEqual(store.operatorBans(), []);
  await bans.put("203.0.113.9", sampleBanRequest(), {}, insistingTerms());
  await bans.remove("203.0.113.9", {}, terms);
  await bans.batch({ put: [], delete: ["203.0.113.9"] }, terms);
});
