import assert from "node:assert/strict";
import { test } from "node:test";
import type { DomainError } from "../../src/domain/errors.ts";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import type { BanItem } from "../../src/domain/services.ts";
import { createTestServices, sampleBanRequest, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();

function item(address: string, different: Partial<BanItem> = {}): BanItem {
  return { address, reason: "feed", expiry: null, ...different };
}

/** `count` different IPv4 items. */
function items(count: number): readonly BanItem[] {
  return Array.from({ length: count }, (_, index) => item(`11.0.${index >> 8}.${index & 255}`));
}

/** Asserts the code and the pointers of a refusal. */
function refusal(code: string, pointers: readonly string[]): (error: DomainError) => true {
  return (error) => {
    assert.equal(error.code, code);
    assert.deepEqual(
      error.errors.map((field) => field.pointer),
      pointers,
    );
    return true;
  };
}

test("a batch puts and lifts bans at once, and counts what became of each item", async (t) => {
  const { store, firewall, clock, bans, kernelBan } = createTestServices(t);
  for (const address of ["203.0.113.1", "203.0.113.2", "203.0.113.3"]) await bans.put(address, sampleBanRequest(), {}, terms);
  firewall.setPolicyBans([kernelBan("203.0.113.4", "mysql"), kernelBan("203.0.113.5", "mysql")]);
  const outcome = await bans.batch(
    {
      put: [
        item("203.0.113.1", { reason: "scanner" }),
        item("203.0.113.2"),
        item("203.0.113.4"),
        item("::ffff:203.0.113.6", { expiry: { ttlSeconds: 60 } }),
        item("2001:db8::/32"),
      ],
      delete: ["203.0.113.3", "203.0.113.5", "203.0.113.7"],
    },
    terms,
  );
  assert.deepEqual(outcome, { created: 2, updated: 2, deleted: 2, unchanged: 2, enforced: true, severed: 0 });
  assert.deepEqual(
    (await bans.list({})).map(({ address, enforced }) => `${address} ${enforced}`),
    ["203.0.113.1 true", "203.0.113.2 true", "203.0.113.4 true", "203.0.113.6 true", "2001:db8::/32 true"],
  );
  assert.deepEqual(store.operatorBan("203.0.113.6"), {
    address: "203.0.113.6",
    actor: "ci",
    reason: "feed",
    since: clock.now(),
    expiresAt: clock.now() + 60_000,
  });
});

test("a batch is one change and one pass, whatever its length", async (t) => {
  const { store, firewall, enforcer, bans } = createTestServices(t);
  firewall.setBanRoom({ capacity: 10_000 });
  const outcome = await bans.batch({ put: items(9_999), delete: ["203.0.113.9"] }, terms);
  assert.deepEqual([outcome.created, outcome.unchanged], [9_999, 1]);
  assert.deepEqual(enforcer.requests, ["bans"]);
  assert.equal(store.operatorBans().length, 9_999);
  const again = await bans.batch({ put: items(9_999), delete: [] }, terms);
  assert.deepEqual([again.unchanged, again.created, again.updated], [9_999, 0, 0]);
  assert.equal(store.revision(), 9_999);
});

test("an empty batch changes nothing", async (t) => {
  const { store, bans } = createTestServices(t);
  assert.deepEqual(await bans.batch({ put: [], delete: [] }, terms), {
    created: 0,
    updated: 0,
    deleted: 0,
    unchanged: 0,
    enforced: true,
    severed: null,
  });
  assert.equal(store.revision(), 0);
});

test("one bad item among 10,000 is pointed at, and nothing of the batch is applied", async (t) => {
  const { store, firewall, enforcer, bans } = createTestServices(t);
  firewall.setBanRoom({ capacity: 10_000 });
  const put = items(10_000).with(7_777, item("11.0.0.07"));
  await assert.rejects(bans.batch({ put, delete: [] }, terms), refusal("invalid-input", ["/put/7777/address"]));
  assert.deepEqual([store.revision(), store.operatorBans(), enforcer.requests], [0, [], []]);
});

test("every bad item is named, in both lists and in every field", async (t) => {
  const { clock, bans } = createTestServices(t);
  const batch = {
    put: [
      item("198.51.100.7/24"),
      item("203.0.113.1", { reason: "a\nb", expiry: { ttlSeconds: 0 } }),
      item("203.0.113.2", { expiry: { expiresAt: clock.now() } }),
      item("203.0.113.3"),
    ],
    delete: ["203.0.113.4", "here"],
  };
  await assert.rejects(
    bans.batch(batch, terms),
    refusal("invalid-input", ["/put/0/address", "/put/1/reason", "/put/1/ttlSeconds", "/put/2/expiresAt", "/delete/1"]),
  );
});

test("of more than a hundred errors the first hundred are listed and all are counted", async (t) => {
  const { bans } = createTestServices(t);
  const put = items(250).map((each) => item(`${each.address}/8`));
  await assert.rejects(bans.batch({ put, delete: [] }, terms), (error: DomainError) => {
    assert.equal(error.errors.length, 100);
    assert.equal(error.errors.at(-1)?.pointer, "/put/100/address");
    assert.match(error.message, /249 errors, of which the first 100 are listed/);
    return true;
  });
});

for (const [where, put, deleted, pointer, earlier] of [
  ["put", ["203.0.113.9", "::ffff:203.0.113.9"], [], "/put/1/address", "/put/0/address"],
  ["delete", [], ["2001:db8::1", "2001:DB8:0::1"], "/delete/1", "/delete/0"],
  ["both lists", ["203.0.113.9"], ["203.0.113.9/32"], "/delete/0", "/put/0/address"],
] as const) {
  test(`an address that stands twice in ${where} is refused at its second place`, async (t) => {
    const { bans } = createTestServices(t);
    await assert.rejects(
      bans.batch({ put: put.map((address) => item(address)), delete: deleted }, terms),
      (error: DomainError) =>
        refusal("invalid-input", [pointer])(error) && error.errors[0]?.message.endsWith(`stands there already, as ${earlier}`),
    );
  });
}

test("more than 10,000 items are refused", async (t) => {
  const { bans } = createTestServices(t);
  await assert.rejects(bans.batch({ put: items(10_000), delete: ["203.0.113.9"] }, terms), {
    code: "invalid-input",
    errors: [{ pointer: "", message: "takes up to 10000 items in put and delete together; this has 10001" }],
  });
});

test("protected networks and networks that can't be banned are refused at their items", async (t) => {
  const { store, firewall, bans } = createTestServices(t);
  const batch = {
    put: ["203.0.113.9", "10.1.2.3", "0.0.0.0/0", "198.51.100.0/24", "127.0.0.1"].map((address) => item(address)),
    delete: [],
  };
  await assert.rejects(bans.batch(batch, terms), refusal("lockout", ["/put/1/address", "/put/2/address", "/put/4/address"]));
  const harmless = { ...batch, put: batch.put.slice(3, 4) };
  firewall.setBanRoom({ networks: false });
  await assert.rejects(bans.batch(harmless, terms), refusal("network-unsupported", ["/put/0/address"]));
  assert.deepEqual(store.operatorBans(), []);
});

test("room is counted for the whole batch: what it lifts makes room for what it puts", async (t) => {
  const { store, firewall, bans } = createTestServices(t);
  firewall.setBanRoom({ capacity: 3 });
  await bans.batch({ put: items(3), delete: [] }, terms);
  const revision = store.revision();
  await assert.rejects(bans.batch({ put: [item("203.0.113.9"), item("2001:db8::1")], delete: [] }, terms), { code: "no-room" });
  assert.equal(store.revision(), revision);
  const outcome = await bans.batch({ put: [item("203.0.113.9"), item("2001:db8::1")], delete: ["11.0.0.0"] }, terms);
  assert.deepEqual([outcome.created, outcome.deleted], [2, 1]);
});

test("batches and single writes at the same time never exceed the room", async (t) => {
  const { store, firewall, bans } = createTestServices(t);
  firewall.setBanRoom({ capacity: 100 });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 32 }, (_, writer) => {
      const put = Array.from({ length: 9 }, (_, number) => item(`203.0.${writer}.${number}`));
      return writer % 4 === 0
        ? bans.create(`203.0.${writer}.0`, sampleBanRequest(), terms)
        : bans.batch({ put, delete: [] }, terms);
    }),
  );
  const live = store.operatorBans().length;
  assert.ok(live <= 100 && live > 91, `${live} bans`);
  for (const outcome of outcomes) if (outcome.status === "rejected") assert.equal(outcome.reason.code, "no-room");
});

test("a batch severs at once what its items do not leave open", async (t) => {
  const { connections, enforcer, bans } = createTestServices(t);
  for (const source of ["203.0.113.1", "203.0.113.2", "198.51.100.1"]) connections.open(source, 3306, 2);
  const put = [item("203.0.113.1"), item("203.0.113.2", { sever: false }), item("198.51.100.0/24", { sever: true })];
  assert.equal((await bans.batch({ put, delete: [] }, terms)).severed, 4);
  assert.deepEqual(connections.severed, [["203.0.113.1", "198.51.100.0/24"]]);
  connections.fail(new EnforcementDelayed("conntrack is not installed"));
  assert.equal((await bans.batch({ put, delete: [] }, terms)).severed, null);
  enforcer.delay("the lock is held");
  const outcome = await bans.batch({ put, delete: [] }, terms);
  assert.deepEqual([outcome.enforced, outcome.severed], [false, null]);
});
