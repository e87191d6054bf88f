import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { StateChange } from "../../src/domain/ports.ts";
import { databaseFile } from "../../src/store/database.ts";
import { openStore } from "../../src/store/store.ts";
import { sampleConfirmation, sampleKernelBan, sampleOperatorBan, samplePolicy } from "../support/samples.ts";
import { createTestStore, temporaryDirectory } from "../support/test-store.ts";

/** Counts the commits in the write-ahead log by its frame headers: https://www.sqlite.org/fileformat2.html#the_write_ahead_log */
function commitsInLog(stateDirectory: string): number {
  const log = readFileSync(`${databaseFile(stateDirectory)}-wal`);
  const frameSize = 24 + log.readUInt32BE(8);
  let commits = 0;
  for (let frame = 32; frame + frameSize <= log.length; frame += frameSize) {
    if (log.readUInt32BE(frame + 4) !== 0) commits += 1;
  }
  return commits;
}

/** Makes COMMIT itself fail for a transaction that bans `poison`: a foreign key that is looked at only then. */
function makeCommitFailFor(stateDirectory: string, poison: string): void {
  openStore({ stateDirectory }).close();
  const database = new DatabaseSync(databaseFile(stateDirectory));
  database.exec(`
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER poison AFTER INSERT ON operator_bans WHEN NEW.address = '${poison}' BEGIN INSERT INTO child VALUES (1); END`);
  database.close();
}

function putBan(address: string): (change: StateChange) => string {
  return (change) => {
    change.putOperatorBan(sampleOperatorBan({ address }));
    return address;
  };
}

function addresses(state: { operatorBans(): readonly { readonly address: string }[] }): readonly string[] {
  return state
    .operatorBans()
    .map((ban) => ban.address)
    .sort();
}

test("works that wait at the same time share one commit", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const store = createTestStore(t, stateDirectory);
  const before = commitsInLog(stateDirectory);
  const wanted = Array.from({ length: 50 }, (_, number) => `ban-${number}`);
  const results = await Promise.all(wanted.map((address) => store.transact(putBan(address))));
  assert.deepEqual(results, wanted);
  assert.equal(commitsInLog(stateDirectory) - before, 1);
  await store.transact(putBan("later"));
  assert.equal(commitsInLog(stateDirectory) - before, 2);
  assert.equal(store.revision(), 51);
});

test("a work that throws loses only its own changes", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const store = openStore({ stateDirectory });
  const outcomes = await Promise.allSettled([
    store.transact(putBan("a")),
    store.transact((change) => {
      putBan("b")(change);
      change.deleteOperatorBan("a");
      throw new RangeError("changed its mind");
    }),
    store.transact((change) => {
      const seen = addresses(change);
      putBan("c")(change);
      return seen;
    }),
  ]);
  assert.deepEqual(outcomes, [
    { status: "fulfilled", value: "a" },
    { status: "rejected", reason: new RangeError("changed its mind") },
    { status: "fulfilled", value: ["a"] },
  ]);
  assert.deepEqual(addresses(store), ["a", "c"]);
  assert.equal(store.revision(), 2);
  store.close();
  const reopened = createTestStore(t, stateDirectory);
  assert.deepEqual(addresses(reopened), ["a", "c"]);
  assert.equal(reopened.revision(), 2);
});

test("a commit that fails rejects all that waited for it and leaves nothing to see", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  makeCommitFailFor(stateDirectory, "poison");
  const store = openStore({ stateDirectory });
  await store.transact(putBan("before"));
  const outcomes = await Promise.allSettled([
    store.transact(putBan("beside")),
    store.transact(putBan("poison")),
    store.transact((change) => change.putPolicy(samplePolicy())),
  ]);
  for (const outcome of outcomes) {
    assert.equal(outcome.status, "rejected");
    assert.match(String(outcome.reason), /FOREIGN KEY constraint failed/);
  }
  assert.deepEqual(addresses(store), ["before"]);
  assert.deepEqual(store.policies(), []);
  assert.equal(store.revision(), 1);
  await store.transact(putBan("after"));
  store.close();
  const reopened = createTestStore(t, stateDirectory);
  assert.deepEqual(addresses(reopened), ["after", "before"]);
  assert.equal(reopened.revision(), 2);
});

test("reads inside a work see its changes and those before it; reads outside see them after the commit", async (t) => {
  const store = createTestStore(t);
  const first = store.transact((change) => {
    change.putPolicy(samplePolicy({ name: "b" }));
    change.putPolicy(samplePolicy({ name: "a" }));
    assert.deepEqual(
      change.policies().map((policy) => policy.name),
      ["a", "b"],
    );
    assert.equal(change.deletePolicy("b"), true);
    assert.equal(change.deletePolicy("b"), false);
    assert.equal(change.policy("b"), undefined);
    assert.equal(change.revision(), 3);
  });
  const second = store.transact((change) => {
    assert.deepEqual(change.policy("a"), samplePolicy({ name: "a" }));
    assert.equal(change.revision(), 3);
    assert.deepEqual(store.policies(), []);
    assert.equal(store.revision(), 0);
  });
  assert.deepEqual(store.policies(), []);
  await Promise.all([first, second]);
  assert.deepEqual(store.policies(), [samplePolicy({ name: "a" })]);
  assert.equal(store.revision(), 3);
});

test("a row that a work replaces or removes is read once or not at all inside it", async (t) => {
  const store = createTestStore(t);
  await store.transact((change) => {
    putBan("a")(change);
    putBan("b")(change);
  });
  await store.transact((change) => {
    change.putOperatorBan(sampleOperatorBan({ address: "a", reason: "another" }));
    assert.deepEqual(addresses(change), ["a", "b"]);
    assert.equal(change.operatorBan("a")?.reason, "another");
    change.deleteOperatorBan("b");
    assert.deepEqual(addresses(change), ["a"]);
  });
});

test("policies are sorted by name, however they came", async (t) => {
  const store = createTestStore(t);
  for (const name of ["web", "mysql", "a", "web-2"]) await store.transact((change) => change.putPolicy(samplePolicy({ name })));
  assert.deepEqual(
    store.policies().map((policy) => policy.name),
    ["a", "mysql", "web", "web-2"],
  );
});

test("reading again without a change costs nothing: the same array comes back", async (t) => {
  const store = createTestStore(t);
  await store.transact(putBan("a"));
  const before = store.operatorBans();
  await store.transact((change) => change.operatorBans());
  assert.equal(store.operatorBans(), before);
  await store.transact(putBan("b"));
  assert.deepEqual(
    before.map((ban) => ban.address),
    ["a"],
  );
});

test("a change that leaks out of its transaction writes nothing", async (t) => {
  const store = createTestStore(t);
  const leaked = await store.transact((change) => change);
  assert.throws(() => leaked.putPolicy(samplePolicy()), /after the end of its transaction/);
  assert.deepEqual(store.policies(), []);
});

test("closing commits what still waits, and nothing can be written afterwards", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const store = openStore({ stateDirectory });
  const waiting = store.transact(putBan("last"));
  store.close();
  store.close();
  assert.equal(await waiting, "last");
  await assert.rejects(store.transact(putBan("too late")), /the store is closed/);
  assert.deepEqual(addresses(createTestStore(t, stateDirectory)), ["last"]);
});

test("a kernel's ban is kept once for each home and address", async (t) => {
  const store = createTestStore(t);
  const [host, ports] = [sampleKernelBan({ home: "cld4-host" }), sampleKernelBan({ home: "cld4-ports" })];
  await store.transact((change) => {
    change.putKernelBan(host);
    change.putKernelBan(ports);
    change.putKernelBan({ ...host, expiresAt: 99_000 });
    assert.equal(change.deleteKernelBan("cld4-ports", "203.0.113.10"), false);
  });
  assert.deepEqual(store.kernelBans(), [{ ...host, expiresAt: 99_000 }, ports]);
  assert.equal(await store.transact((change) => change.deleteKernelBan("cld4-host", host.address)), true);
  assert.deepEqual(store.kernelBans(), [ports]);
});

test("a lift and a grace are kept once for each address, until they are deleted", async (t) => {
  const store = createTestStore(t);
  await store.transact((change) => {
    change.putLift("203.0.113.9");
    change.putLift("203.0.113.9");
    change.putGrace({ address: "203.0.113.9", until: 1_000 });
    change.putGrace({ address: "203.0.113.9", until: 2_000 });
  });
  assert.deepEqual(store.lifts(), ["203.0.113.9"]);
  assert.deepEqual(store.graces(), [{ address: "203.0.113.9", until: 2_000 }]);
  assert.deepEqual(store.grace("203.0.113.9"), { address: "203.0.113.9", until: 2_000 });
  const results = await store.transact((change) => [
    change.deleteLift("203.0.113.9"),
    change.deleteLift("203.0.113.9"),
    change.deleteGrace("203.0.113.9"),
    change.deleteGrace("203.0.113.9"),
  ]);
  assert.deepEqual(results, [true, false, true, false]);
  assert.deepEqual([store.lifts(), store.graces(), store.grace("203.0.113.9")], [[], [], undefined]);
});

test("each put and each delete that found something moves the revision on, and nothing else does", async (t) => {
  const store = createTestStore(t);
  await store.transact((change) => {
    change.putPolicy(samplePolicy());
    change.putOperatorBan(sampleOperatorBan());
    change.putKernelBan(sampleKernelBan());
    change.putLift("203.0.113.9");
    change.putGrace({ address: "203.0.113.9", until: 1 });
    change.putConfirmation(sampleConfirmation());
  });
  assert.equal(store.revision(), 6);
  await store.transact((change) => {
    change.deletePolicy("another");
    change.deleteKernelBan("another", "203.0.113.9");
    change.deleteLift("203.0.113.10");
    change.deleteConfirmation("another");
    change.deletePolicy("mysql");
    change.deleteGrace("203.0.113.9");
    change.deleteConfirmation(sampleConfirmation().id);
  });
  assert.equal(store.revision(), 9);
});

test("confirmations are sorted by their deadline, however they came", async (t) => {
  const store = createTestStore(t);
  for (const [id, revertsAt] of [
    ["b", 3_000],
    ["c", 1_000],
    ["a", 3_000],
  ] as const) {
    await store.transact((change) => change.putConfirmation(sampleConfirmation({ id, revertsAt })));
  }
  assert.deepEqual(
    store.confirmations().map(({ id }) => id),
    ["c", "a", "b"],
  );
  assert.equal(store.confirmation("c")?.revertsAt, 1_000);
});

test("a ban that is written again keeps its place in the list, inside the transaction as after it", async (t) => {
  const store = createTestStore(t);
  for (const address of ["a", "b", "c"]) await store.transact(putBan(address));
  const inside = await store.transact((change) => {
    change.deleteOperatorBan("b");
    change.putOperatorBan(sampleOperatorBan({ address: "d" }));
    for (const address of ["a", "b"]) change.putOperatorBan(sampleOperatorBan({ address, reason: "another" }));
    return change.operatorBans();
  });
  assert.deepEqual(store.operatorBans(), inside);
  assert.deepEqual(
    inside.map(({ address, reason }) => `${address} ${reason}`),
    ["a another", "b another", "c scanner", "d scanner"],
  );
});

test("thousands of bans are one commit", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const store = createTestStore(t, stateDirectory);
  const before = commitsInLog(stateDirectory);
  await store.transact((change) => {
    for (let number = 0; number < 5_000; number += 1) change.putKernelBan(sampleKernelBan({ address: `ban-${number}` }));
  });
  assert.equal(store.kernelBans().length, 5_000);
  assert.equal(commitsInLog(stateDirectory) - before, 1);
});
