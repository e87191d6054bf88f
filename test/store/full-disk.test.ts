// A small file system of its own stands in for a disk that is full: only the kernel makes SQLite fail as it does in earnest.
import assert from "node:assert/strict";
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { DomainError } from "../../src/domain/errors.ts";
import { openStore } from "../../src/store/store.ts";
import { sampleOperatorBan } from "../support/samples.ts";
import { mountSmallDisk } from "../support/small-disk.ts";

async function createSmallStore(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), "connlimitd-"));
  const unmount = await mountSmallDisk(directory);
  const store = openStore({ stateDirectory: directory });
  t.after(async () => {
    store.close();
    await unmount();
    rmdirSync(directory);
  });
  const put = (address: string) => store.transact((change) => change.putOperatorBan(sampleOperatorBan({ address })));
  return { store, put, ballast: join(directory, "ballast") };
}

function fill(file: string): void {
  for (const size of [65_536, 1024, 1]) {
    try {
      for (;;) writeFileSync(file, "x".repeat(size), { flag: "a" });
    } catch {
      // Full, but for less than `size`.
    }
  }
}

function unwritable(reason: RegExp) {
  return (error: unknown) => error instanceof DomainError && error.code === "store-unwritable" && reason.test(error.message);
}

test("a full disk refuses changes with file, reason and remedy, keeps what there is, and takes them again", async (t) => {
  const { store, put, ballast } = await createSmallStore(t);
  await put("192.0.2.1");
  fill(ballast);
  for (const address of ["192.0.2.2", "192.0.2.3"]) {
    await assert.rejects(put(address), unwritable(/state\.db can't be written: the disk is full; free some space/));
  }
  assert.match(store.failure() ?? "", /the disk is full/);
  assert.deepEqual(
    store.operatorBans().map((ban) => ban.address),
    ["192.0.2.1"],
  );
  await store.probe();
  assert.match(store.failure() ?? "", /the disk is full/);
  rmSync(ballast);
  await put("192.0.2.4");
  assert.deepEqual([store.failure(), store.operatorBans().length], [null, 2]);
});

test("a look notices a full disk although nobody writes, and its end", async (t) => {
  const { store, ballast } = await createSmallStore(t);
  const revision = store.revision();
  await store.probe();
  assert.deepEqual([store.failure(), store.revision()], [null, revision], "with room there is nothing to be tried");
  fill(ballast);
  // The end of the log's last block may have room for one more row.
  for (let look = 0; look < 3 && store.failure() === null; look += 1) await store.probe().catch(() => undefined);
  assert.match(store.failure() ?? "", /the disk is full/);
  rmSync(ballast);
  await store.probe();
  assert.equal(store.failure(), null);
});
