import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { databaseFile } from "../../src/store/database.ts";
import { initial } from "../../src/store/migrations/0001-initial.ts";
import { openStore } from "../../src/store/store.ts";
import { StoreOpenError, type StoreOpenErrorCode } from "../../src/store/store-error.ts";
import { sampleConfirmation, sampleKernelBan, sampleOperatorBan, samplePolicy, sampleToken } from "../support/samples.ts";
import { createTestStore, temporaryDirectory } from "../support/test-store.ts";

function assertRefused(stateDirectory: string, code: StoreOpenErrorCode, wayOut: RegExp): void {
  assert.throws(
    () => openStore({ stateDirectory }),
    (error) => {
      assert.ok(error instanceof StoreOpenError);
      assert.equal(error.code, code);
      assert.equal(error.file, databaseFile(stateDirectory));
      assert.ok(error.message.startsWith(`${error.file}: `));
      assert.match(error.message, wayOut);
      return true;
    },
  );
}

/** Runs SQL on the database of a closed store. */
function tamper(stateDirectory: string, sql: string): void {
  const database = new DatabaseSync(databaseFile(stateDirectory));
  database.exec(sql);
  database.close();
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

test("a new state directory is the service's alone: 0700, its files 0600", (t) => {
  const stateDirectory = join(temporaryDirectory(t), "lib", "connlimitd");
  createTestStore(t, stateDirectory);
  assert.equal(modeOf(stateDirectory), "700");
  const modes = readdirSync(stateDirectory).map((file) => `${file} ${modeOf(join(stateDirectory, file))}`);
  assert.deepEqual(modes.sort(), ["state.db 600", "state.db-wal 600"]);
});

test("a database that others could read is made private when it is opened", (t) => {
  const stateDirectory = temporaryDirectory(t);
  writeFileSync(databaseFile(stateDirectory), "", { mode: 0o644 });
  createTestStore(t, stateDirectory);
  assert.equal(modeOf(databaseFile(stateDirectory)), "600");
});

test("a reopened store holds what was written, byte for byte", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const first = openStore({ stateDirectory });
  const policies = [
    samplePolicy({ name: "bare", description: "quotes ' \" ` $(id) \\ 🧱 ünïcode" }),
    samplePolicy({
      name: "full",
      ports: [443, 80],
      countPer: { ipv4Prefix: 24, ipv6Prefix: 56 },
      ban: { seconds: 4_294_967, scope: "ports", renewOnAttempt: true },
      rejectWith: "drop",
      exempt: ["10.0.0.0/8", "2001:db8::/32"],
      mode: "observe",
      revision: 7,
      updatedAt: 1_800_000_000_123,
    }),
  ];
  const bans = [sampleOperatorBan(), sampleOperatorBan({ address: "2001:db8::1", reason: "", expiresAt: 1_800_000_000_123 })];
  const kernelBans = [sampleKernelBan(), sampleKernelBan({ home: "cld6-host", address: "2001:db8::/64", policies: ["a", "b"] })];
  const graces = [{ address: "2001:db8::/64", until: 1_800_000_000_123 }];
  const confirmations = [
    sampleConfirmation({ previous: null, revertsAt: 1, revertedAt: 2 }),
    ...policies.map((previous) => sampleConfirmation({ id: previous.name, policy: previous.name, previous })),
  ];
  const tokens = [sampleToken("a", { expiresAt: 1 }), sampleToken("b", { name: "reader", scopes: ["read"] })];
  await first.transact((change) => {
    for (const policy of policies) change.putPolicy(policy);
    for (const ban of bans) change.putOperatorBan(ban);
    for (const ban of kernelBans) change.putKernelBan(ban);
    for (const grace of graces) change.putGrace(grace);
    for (const confirmation of confirmations) change.putConfirmation(confirmation);
    change.putLift("2001:db8::/64");
    for (const token of tokens) change.putToken(token);
  });
  first.close();

  const second = createTestStore(t, stateDirectory);
  assert.deepEqual(second.policies(), policies);
  assert.deepEqual(new Set(second.operatorBans()), new Set(bans));
  assert.deepEqual(new Set(second.kernelBans()), new Set(kernelBans));
  assert.deepEqual([second.graces(), second.lifts()], [graces, ["2001:db8::/64"]]);
  assert.deepEqual(second.confirmations(), confirmations);
  assert.deepEqual(second.tokens(), tokens);
  assert.equal(second.revision(), 13);
});

test("a database of the first release is brought up to date, with all that it holds", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const database = new DatabaseSync(databaseFile(stateDirectory));
  database.exec(`${initial}; PRAGMA user_version = 1; UPDATE meta SET revision = 5`);
  database.exec("INSERT INTO operator_bans VALUES ('203.0.113.9', 'ci', 'scanner', 1000, NULL)");
  database.close();
  const store = createTestStore(t, stateDirectory);
  assert.deepEqual(store.operatorBans(), [sampleOperatorBan()]);
  await store.transact((change) => change.putKernelBan(sampleKernelBan()));
  assert.deepEqual([store.revision(), store.kernelBans()], [6, [sampleKernelBan()]]);
});

test("a second store on the same state directory is refused until the first is closed", (t) => {
  const stateDirectory = temporaryDirectory(t);
  const first = createTestStore(t, stateDirectory);
  assertRefused(stateDirectory, "in-use", /CONNLIMITD_STATE_DIR/);
  assertRefused(stateDirectory, "in-use", /CONNLIMITD_STATE_DIR/);
  first.close();
  createTestStore(t, stateDirectory);
});

test("a refused second store leaves the first one working", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const first = createTestStore(t, stateDirectory);
  assertRefused(stateDirectory, "in-use", /another connlimitd/);
  await first.transact((change) => change.putPolicy(samplePolicy()));
  assert.equal(first.policies().length, 1);
});

test("a database of a newer release is refused and left as it is", (t) => {
  const stateDirectory = temporaryDirectory(t);
  openStore({ stateDirectory }).close();
  tamper(stateDirectory, "PRAGMA user_version = 99");
  const before = readFileSync(databaseFile(stateDirectory));
  assertRefused(stateDirectory, "newer-version", /schema 99.*run that release again/);
  assert.deepEqual(readFileSync(databaseFile(stateDirectory)), before);
});

test("a file that is no database is refused and left as it is", (t) => {
  const stateDirectory = temporaryDirectory(t);
  writeFileSync(databaseFile(stateDirectory), "not a database\n".repeat(1000));
  assertRefused(stateDirectory, "corrupt", /backup/);
  assert.equal(readFileSync(databaseFile(stateDirectory), "utf8"), "not a database\n".repeat(1000));
});

test("a database with a damaged page is refused", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const store = openStore({ stateDirectory });
  await store.transact((change) => {
    for (let number = 0; number < 2_000; number += 1) change.putOperatorBan(sampleOperatorBan({ address: `ban-${number}` }));
  });
  store.close();
  const bytes = readFileSync(databaseFile(stateDirectory));
  bytes.fill(0xa5, bytes.length - 4096);
  writeFileSync(databaseFile(stateDirectory), bytes);
  assertRefused(stateDirectory, "corrupt", /damaged/);
});

test("a database whose rows can be read but whose free pages are lost is refused", (t) => {
  const stateDirectory = temporaryDirectory(t);
  openStore({ stateDirectory }).close();
  const bytes = readFileSync(databaseFile(stateDirectory));
  // The first free page and how many there are: https://www.sqlite.org/fileformat2.html#the_database_header
  bytes.writeUInt32BE(9_999, 32);
  bytes.writeUInt32BE(3, 36);
  writeFileSync(databaseFile(stateDirectory), bytes);
  assertRefused(stateDirectory, "corrupt", /damaged/);
});

for (const [what, sql] of [
  ["a mode that does not exist", "UPDATE policies SET mode = 'sometimes'"],
  ["ports that are no JSON", "UPDATE policies SET ports = '[1,'"],
  ["ports that are no numbers", `UPDATE policies SET ports = '["80"]'`],
  ["a kernel's ban because of no policies", "UPDATE kernel_bans SET policies = 'mysql'"],
  ["an earlier policy that is no JSON", "UPDATE confirmations SET previous = '{'"],
  ["an earlier policy that is none", `UPDATE confirmations SET previous = '{"name":["mysql"]}'`],
  ["an earlier policy without its parts", "UPDATE confirmations SET previous = '{}'"],
  ["a token with a scope that does not exist", `UPDATE tokens SET scopes = '["root"]'`],
  ["a number that is larger than any", "UPDATE policies SET created_at = 9007199254740993"],
  ["a token without a digest", "UPDATE tokens SET digest = 'secret'"],
  ["no revision", "DELETE FROM meta"],
] as const) {
  test(`a database with ${what} is refused`, async (t) => {
    const stateDirectory = temporaryDirectory(t);
    const store = openStore({ stateDirectory });
    await store.transact((change) => {
      change.putPolicy(samplePolicy());
      change.putKernelBan(sampleKernelBan());
      change.putConfirmation(sampleConfirmation());
      change.putToken(sampleToken("secret"));
    });
    store.close();
    tamper(stateDirectory, sql);
    assertRefused(stateDirectory, "corrupt", /damaged/);
    assertRefused(stateDirectory, "corrupt", /damaged/);
  });
}

test("a state directory that can't be made is refused with the reason", (t) => {
  const file = join(temporaryDirectory(t), "file");
  writeFileSync(file, "");
  assertRefused(join(file, "state"), "unusable", /ENOTDIR/);
});
