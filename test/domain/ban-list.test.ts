import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../support/random.ts";
import { sampleOperatorBan } from "../support/samples.ts";
import { createTestServices, sampleBanRequest, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();

test("one address is one ban with all its causes, which ends with the last of them", async (t) => {
  const { firewall, clock, bans, kernelBan } = createTestServices(t);
  const web = { ...kernelBan("203.0.113.9", "web"), expiresAt: clock.now() + 600_000 };
  firewall.setPolicyBans([web, kernelBan("203.0.113.9", "ssh", "mysql")]);
  assert.deepEqual(await bans.get("203.0.113.9"), {
    address: "203.0.113.9",
    expiresAt: clock.now() + 600_000,
    enforced: true,
    causes: [
      { by: "policy", policy: "mysql", since: clock.now(), expiresAt: clock.now() + 60_000 },
      { by: "policy", policy: "ssh", since: clock.now(), expiresAt: clock.now() + 60_000 },
      { by: "policy", policy: "web", since: clock.now(), expiresAt: clock.now() + 600_000 },
    ],
  });
  await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
  const merged = await bans.list({});
  assert.equal(merged.length, 1);
  assert.equal(merged[0]?.expiresAt, null);
  assert.equal(merged[0]?.causes.length, 4);
  await bans.put("203.0.113.9", sampleBanRequest({ expiry: { ttlSeconds: 700 } }), {}, terms);
  assert.equal((await bans.get("203.0.113.9")).expiresAt, clock.now() + 700_000);
});

test("a policy's ban that has ended is not shown", async (t) => {
  const { firewall, clock, bans, kernelBan } = createTestServices(t);
  firewall.setPolicyBans([kernelBan("203.0.113.9", "mysql")]);
  clock.advance(60_000);
  assert.deepEqual(await bans.list({}), []);
});

test("a policy's ban is enforced while the rules are in step", async (t) => {
  const { firewall, enforcer, bans, kernelBan } = createTestServices(t);
  firewall.setPolicyBans([kernelBan("203.0.113.9", "mysql")]);
  assert.equal((await bans.get("203.0.113.9")).enforced, true);
  enforcer.delay("the rules are gone");
  assert.equal((await bans.get("203.0.113.9")).enforced, false);
});

test("a policy's ban that the kernel has lost says so, unless another of its lists still holds it", async (t) => {
  const { firewall, bans, kernelBan } = createTestServices(t);
  const lost = { ...kernelBan("203.0.113.9", "mysql"), enforced: false };
  firewall.setPolicyBans([lost]);
  assert.equal((await bans.get("203.0.113.9")).enforced, false);
  firewall.setPolicyBans([lost, { ...kernelBan("203.0.113.9", "web"), home: "cld4-other" }]);
  assert.equal((await bans.get("203.0.113.9")).enforced, true);
  await bans.put("203.0.113.9", sampleBanRequest(), {}, terms);
  firewall.setPolicyBans([lost]);
  assert.equal((await bans.get("203.0.113.9")).enforced, true);
});

test("50,000 bans of operators and policies are one sorted list, however they came", async (t) => {
  const { store, firewall, bans, kernelBan } = createTestServices(t);
  const random = seededRandom(7);
  const addressOf = (number: number) =>
    number % 2 === 0 ? `11.${number >> 16}.${(number >> 8) & 255}.${number & 255}` : `2001:db8::${number.toString(16)}`;
  const numbers = Array.from({ length: 50_000 }, (_, number) => number);
  const shuffled = numbers.map((number) => ({ number, place: random.integer(2 ** 30) })).sort((a, b) => a.place - b.place);
  const [operators, policies] = [shuffled.slice(0, 45_000), shuffled.slice(45_000)];
  await store.transact((change) => {
    for (const { number } of operators) change.putOperatorBan(sampleOperatorBan({ address: addressOf(number) }));
  });
  firewall.setPolicyBans(policies.map(({ number }) => kernelBan(addressOf(number), "mysql")));
  const expected = [...numbers.filter((number) => number % 2 === 0), ...numbers.filter((number) => number % 2 === 1)].map(
    addressOf,
  );
  assert.deepEqual(
    (await bans.list({})).map((ban) => ban.address),
    expected,
  );
  assert.equal((await bans.list({ by: "policy" })).length, 5_000);
  assert.deepEqual(
    (await bans.list({ covers: "11.0.0.2" })).map((ban) => ban.address),
    ["11.0.0.2"],
  );
});

test("pages put one after another are the list, while bans that were shown already come and go", async (t) => {
  const { store, firewall, bans, kernelBan } = createTestServices(t);
  const network = (number: number) => `11.0.${number >> 8}.${number & 255}`;
  const stay = Array.from({ length: 1_000 }, (_, number) => network(number * 3));
  await store.transact((change) => {
    for (const address of stay.filter((_, index) => index % 10 !== 0)) change.putOperatorBan(sampleOperatorBan({ address }));
  });
  const kernelBans = stay.filter((_, index) => index % 10 === 0).map((address) => kernelBan(address, "mysql"));
  firewall.setPolicyBans(kernelBans);
  const random = seededRandom(3);
  const seen: string[] = [];
  for (;;) {
    const after = seen.at(-1);
    const page = await bans.list({}, after === undefined ? { limit: 7 } : { limit: 7, after });
    assert.ok(page.length <= 7);
    if (page.length === 0) break;
    seen.push(...page.map((ban) => ban.address));
    await store.transact((change) => {
      const address = network(random.integer(1_000) * 3 + 1);
      if (!change.deleteOperatorBan(address)) change.putOperatorBan(sampleOperatorBan({ address }));
      change.deleteOperatorBan(seen.at(-1) ?? "");
    });
    firewall.setPolicyBans([...kernelBans, kernelBan(network(random.integer(1_000) * 3 + 2), "web")]);
  }
  assert.deepEqual(new Set(seen).size, seen.length);
  assert.deepEqual(
    seen.filter((address) => stay.includes(address)),
    stay,
  );
});

for (const [what, filter, page, expected] of [
  ["what a filter leaves", { by: "policy" }, { limit: 1, after: "9.0.0.0/8" }, ["11.0.0.1"]],
  ["what covers an address", { covers: "9.0.0.1" }, { limit: 5, after: "9.0.0.0/8" }, ["9.0.0.1"]],
  ["nothing, after the last", {}, { after: "11.0.0.1" }, []],
  ["nothing, where none is wanted", {}, { limit: 0 }, []],
] as const) {
  test(`a page can be of ${what}`, async (t) => {
    const { firewall, bans, kernelBan } = createTestServices(t);
    for (const address of ["9.0.0.0/8", "9.0.0.1", "10.0.0.1"]) await bans.put(address, sampleBanRequest(), {}, terms);
    firewall.setPolicyBans([kernelBan("9.0.0.0/8", "mysql"), kernelBan("11.0.0.1", "mysql")]);
    assert.deepEqual(
      (await bans.list(filter, page)).map((ban) => ban.address),
      expected,
    );
  });
}

test("a ban list follows what comes, goes and changes its maker", async (t) => {
  const { store, firewall, bans, kernelBan } = createTestServices(t);
  const pool = ["9.0.0.1", "9.0.0.2", "9.0.0.0/8", "10.0.0.0", "2001:db8::/32", "2001:db8::1"];
  const random = seededRandom(11);
  for (let round = 0; round < 50; round += 1) {
    const operators = pool.filter(() => random.integer(2) === 0);
    const policies = pool.filter(() => random.integer(3) === 0);
    await store.transact((change) => {
      for (const address of pool) change.deleteOperatorBan(address);
      for (const address of operators) change.putOperatorBan(sampleOperatorBan({ address }));
    });
    firewall.setPolicyBans(policies.map((address) => kernelBan(address, "mysql")));
    const expected = ["9.0.0.0/8", "9.0.0.1", "9.0.0.2", "10.0.0.0", "2001:db8::/32", "2001:db8::1"].filter(
      (address) => operators.includes(address) || policies.includes(address),
    );
    assert.deepEqual(
      (await bans.list({})).map((ban) => ban.address),
      expected,
    );
  }
});

test("the list is sorted as numbers, IPv4 first, and keeps up with changes", async (t) => {
  const { firewall, bans, kernelBan } = createTestServices(t);
  firewall.setPolicyBans([kernelBan("2001:db8:1:2::/64", "mysql"), kernelBan("198.51.100.20", "mysql")]);
  const addresses = async () => (await bans.list({})).map((ban) => ban.address);
  for (const address of ["203.0.113.9", "2001:db8:1:2::1", "198.51.100.3"])
    await bans.put(address, sampleBanRequest(), {}, terms);
  assert.deepEqual(await addresses(), ["198.51.100.3", "198.51.100.20", "203.0.113.9", "2001:db8:1:2::/64", "2001:db8:1:2::1"]);
  await bans.remove("203.0.113.9", {}, terms);
  await bans.put("9.0.0.1", sampleBanRequest(), {}, terms);
  assert.deepEqual(await addresses(), ["9.0.0.1", "198.51.100.3", "198.51.100.20", "2001:db8:1:2::/64", "2001:db8:1:2::1"]);
});

for (const [what, filter, expected] of [
  ["nothing", {}, ["198.51.100.3", "203.0.113.9", "2001:db8:1:2::/64", "2001:db8:1:3::1"]],
  ["by=operator", { by: "operator" }, ["198.51.100.3", "2001:db8:1:3::1"]],
  ["by=policy", { by: "policy" }, ["198.51.100.3", "203.0.113.9", "2001:db8:1:2::/64"]],
  ["a policy", { policy: "web" }, ["203.0.113.9"]],
  ["a policy and by=operator", { policy: "mysql", by: "operator" }, ["198.51.100.3"]],
  ["an address that it covers", { covers: "2001:db8:1:2::77" }, ["2001:db8:1:2::/64"]],
  ["a mapped address that it covers", { covers: "::ffff:203.0.113.9" }, ["203.0.113.9"]],
  ["an address that it covers and a network around it", { covers: "203.0.113.9", within: "198.51.100.0/24" }, []],
  ["an address that it covers and by=operator", { covers: "198.51.100.3", by: "operator" }, ["198.51.100.3"]],
  ["a network around it", { within: "198.51.100.0/24" }, ["198.51.100.3"]],
  ["a network of the other family around it", { within: "2001:db8:1::/48" }, ["2001:db8:1:2::/64", "2001:db8:1:3::1"]],
  ["a network that is narrower", { within: "2001:db8:1:2::/65" }, []],
  ["two filters at once", { within: "0.0.0.0/0", by: "policy" }, ["198.51.100.3", "203.0.113.9"]],
] as const) {
  test(`the list can be filtered by ${what}`, async (t) => {
    const { firewall, bans, kernelBan } = createTestServices(t);
    firewall.setPolicyBans([
      kernelBan("203.0.113.9", "web"),
      kernelBan("2001:db8:1:2::/64", "mysql"),
      kernelBan("198.51.100.3", "mysql"),
    ]);
    await bans.put("198.51.100.3", sampleBanRequest(), {}, terms);
    await bans.put("2001:db8:1:3::1", sampleBanRequest(), {}, terms);
    assert.deepEqual(
      (await bans.list(filter)).map((ban) => ban.address),
      expected,
    );
  });
}

for (const [filter, pointer] of [
  [{ covers: "10.0.0.0/8" }, "covers"],
  [{ covers: "here" }, "covers"],
  [{ within: "10.0.0.1/8" }, "within"],
] as const) {
  test(`a list filtered by ${JSON.stringify(filter)} is refused`, async (t) => {
    const { bans } = createTestServices(t);
    await assert.rejects(
      bans.list(filter),
      (error: { code: string; errors: { pointer: string }[] }) =>
        error.code === "invalid-input" && error.errors[0]?.pointer === pointer,
    );
  });
}
