import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { AuditNote } from "../../src/domain/audit.ts";
import { databaseFile } from "../../src/store/database.ts";
import { openStore } from "../../src/store/store.ts";
import { sampleAuditNote, sampleOperatorBan, samplePolicy } from "../support/samples.ts";
import { createTestStore, temporaryDirectory } from "../support/test-store.ts";

const all = { limit: 1_000_000 };

function open(t: Parameters<typeof temporaryDirectory>[0], stateDirectory: string, entries = 5, refusals = 2) {
  const store = openStore({ stateDirectory, audit: { entries, refusals } });
  t.after(() => store.close());
  const note = (different: Partial<AuditNote>) => store.transact((change) => change.audit(sampleAuditNote(different)));
  const resources = () => store.auditEntries({}, all).map(({ resource }) => resource);
  return { store, note, resources };
}

test("a note comes back byte for byte, with the revisions of its transaction, also from a store that is opened anew", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const first = openStore({ stateDirectory });
  const full = sampleAuditNote({
    before: { reason: "quotes ' \" 🧱" },
    after: { ports: [1, 2] },
    problem: "lockout",
    detail: "why",
  });
  const bare = sampleAuditNote({ actor: null, address: null, resource: null, requestId: null, outcome: "refused" });
  await first.transact((change) => change.putPolicy(samplePolicy()));
  await first.transact((change) => {
    change.putOperatorBan(sampleOperatorBan());
    change.audit(full);
  });
  await first.transact((change) => change.audit(bare));
  const expected = [
    { id: 2, ...bare, revisionBefore: 2, revisionAfter: 2 },
    { id: 1, ...full, revisionBefore: 1, revisionAfter: 2 },
  ];
  assert.deepEqual(first.auditEntries({}, all), expected);
  assert.equal(first.revision(), 2, "a note moves no revision on");
  first.close();
  assert.deepEqual(createTestStore(t, stateDirectory).auditEntries({}, all), expected);
});

test("a note goes with its transaction: when that is undone, it never was", async (t) => {
  const { store, note, resources } = open(t, temporaryDirectory(t));
  const works = await Promise.allSettled([
    note({ resource: "kept" }),
    store.transact((change) => {
      change.audit(sampleAuditNote({ resource: "undone" }));
      throw new Error("refused");
    }),
    note({ resource: "kept too" }),
  ]);
  assert.deepEqual(
    works.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(resources(), ["kept too", "kept"]);
});

test("works that share a commit have their own revisions", async (t) => {
  const { store } = open(t, temporaryDirectory(t));
  await Promise.all(
    ["a", "b"].map((address) =>
      store.transact((change) => {
        change.putOperatorBan(sampleOperatorBan({ address }));
        change.putLift(address);
        change.audit(sampleAuditNote({ resource: address }));
      }),
    ),
  );
  assert.deepEqual(
    store.auditEntries({}, all).map(({ revisionBefore, revisionAfter }) => [revisionBefore, revisionAfter]),
    [
      [2, 4],
      [0, 2],
    ],
  );
});

test("the oldest entries go when there are too many, one by one and many at once, and after a restart", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const { store, note, resources } = open(t, stateDirectory);
  for (let number = 1; number <= 7; number += 1) await note({ resource: `${number}` });
  assert.deepEqual(resources(), ["7", "6", "5", "4", "3"]);
  await Promise.all([8, 9, 10, 11, 12, 13].map((number) => note({ resource: `${number}` })));
  assert.deepEqual(resources(), ["13", "12", "11", "10", "9"]);
  store.close();
  const later = open(t, stateDirectory);
  await later.note({ resource: "14" });
  assert.deepEqual(later.resources(), ["14", "13", "12", "11", "10"]);
  assert.equal(later.store.auditEntries({}, all)[0]?.id, 14);
});

test("refusals push out refusals: however many come, the changes stay", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const { store, note, resources } = open(t, stateDirectory);
  for (const number of [1, 2, 3]) await note({ resource: `change ${number}` });
  for (let number = 1; number <= 20; number += 1) await note({ resource: `refusal ${number}`, outcome: "refused" });
  assert.deepEqual(resources(), ["refusal 20", "refusal 19", "change 3", "change 2", "change 1"]);
  store.close();
  const later = open(t, stateDirectory);
  await later.note({ resource: "refusal 21", outcome: "refused" });
  for (const number of [4, 5, 6]) await later.note({ resource: `change ${number}` });
  assert.deepEqual(later.resources(), ["change 6", "change 5", "change 4", "refusal 21", "refusal 20"]);
  await later.note({ resource: "change 7" });
  await later.note({ resource: "refusal 22", outcome: "refused" });
  await later.note({ resource: "refusal 23", outcome: "refused" });
  assert.deepEqual(later.resources(), ["refusal 23", "refusal 22", "change 7", "change 6", "change 5"]);
});

test("what was undone is not counted as kept", async (t) => {
  const { store, note, resources } = open(t, temporaryDirectory(t));
  for (const number of [1, 2, 3, 4, 5]) await note({ resource: `${number}` });
  for (let time = 0; time < 5; time += 1) {
    const undone = store.transact((change) => {
      change.audit(sampleAuditNote());
      throw new Error("refused");
    });
    await assert.rejects(undone, /refused/);
  }
  assert.deepEqual(resources(), ["5", "4", "3", "2", "1"]);
});

test("filters add up, and pages go on below an id", async (t) => {
  const { store, note } = open(t, temporaryDirectory(t), 100, 100);
  for (let number = 1; number <= 12; number += 1) {
    await note({
      at: number * 1_000,
      actor: number % 2 === 0 ? "ci" : "admin",
      action: number % 3 === 0 ? "ban.put" : "policy.put",
      resource: number > 6 ? "policies/mysql" : "policies/web",
      outcome: number > 10 ? "refused" : "changed",
    });
  }
  const ids = (...asked: Parameters<typeof store.auditEntries>) => store.auditEntries(...asked).map(({ id }) => id);
  assert.deepEqual(ids({}, { limit: 3 }), [12, 11, 10]);
  assert.deepEqual(ids({}, { limit: 3, before: 10 }), [9, 8, 7]);
  assert.deepEqual(ids({ actor: "ci" }, { limit: 2, before: 8 }), [6, 4]);
  assert.deepEqual(ids({ action: "ban.put", resource: "policies/mysql" }, all), [12, 9]);
  assert.deepEqual(ids({ outcome: "refused", actor: "admin" }, all), [11]);
  assert.deepEqual(ids({ since: 3_000, until: 5_000 }, all), [4, 3]);
  assert.deepEqual(ids({ resource: "' OR 1=1 --" }, all), []);
});

test("an entry that this version never writes is an error and not a wrong answer", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const { store, note } = open(t, stateDirectory);
  await note({ after: { a: 1 } });
  store.close();
  const database = new DatabaseSync(databaseFile(stateDirectory));
  database.exec("UPDATE audit SET content_after = '[1'");
  database.close();
  const later = open(t, stateDirectory);
  assert.throws(() => later.store.auditEntries({}, all), { name: "UnreadableRowError" });
});
