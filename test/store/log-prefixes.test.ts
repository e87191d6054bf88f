// Whatever a crash leaves of SQLite's log, the store opens, and holds the state after some acknowledged change.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { databaseFile } from "../../src/store/database.ts";
import { openStore } from "../../src/store/store.ts";
import { seededRandom } from "../support/random.ts";
import { sampleOperatorBan, samplePolicy } from "../support/samples.ts";
import { createTestStore, temporaryDirectory } from "../support/test-store.ts";

/** Bytes, of the log's header and of a frame's: https://www.sqlite.org/fileformat2.html#the_write_ahead_log */
const [logHeader, frameHeader] = [32, 24];
const changes = 60;
const cuts = 150;

/** Changes of one and of many rows, put and deleted, so that a half applied one would show; the state after each tells its number. */
async function writeHistory(stateDirectory: string) {
  const store = openStore({ stateDirectory });
  const history = [stateOf(store)];
  for (let number = 1; number <= changes; number += 1) {
    await store.transact((change) => {
      change.putPolicy(samplePolicy({ name: "counted", maxConnections: number }));
      for (let item = 0; item < (number % 7) * 20; item += 1)
        change.putOperatorBan(sampleOperatorBan({ address: `ban-${item}`, reason: String(number) }));
      if (number % 5 === 0) for (let item = 0; item < 40; item += 1) change.deleteOperatorBan(`ban-${item}`);
    });
    history.push(stateOf(store));
  }
  // As a crash leaves them: closing would move the log into the database.
  const file = databaseFile(stateDirectory);
  const files = { database: readFileSync(file), log: readFileSync(`${file}-wal`) };
  store.close();
  return { history, ...files };
}

function stateOf(store: ReturnType<typeof openStore>): string {
  const bans = store.operatorBans().map(({ address, reason }) => `${address}=${reason}`);
  return JSON.stringify([store.revision(), store.policies().map(({ maxConnections }) => maxConnections), bans.sort()]);
}

test("any prefix of the log opens as a prefix of history, the longer the later", async (t) => {
  const directory = temporaryDirectory(t);
  const { history, database, log } = await writeHistory(join(directory, "original"));
  const frame = frameHeader + database.readUInt16BE(16);
  const frames = Math.floor((log.length - logHeader) / frame);
  assert.ok(frames > changes, `${frames} frames`);
  const seed = Date.now();
  const random = seededRandom(seed);
  const boundaries = Array.from({ length: frames + 1 }, (_, count) => logHeader + count * frame);
  const anywhere = Array.from({ length: cuts }, () => random.integer(log.length + 1));
  const lengths = [...new Set([0, 1, logHeader - 1, ...boundaries, ...anywhere, log.length])].sort((a, b) => a - b);

  const stateDirectory = join(directory, "cut");
  const file = databaseFile(stateDirectory);
  let latest = -1;
  for (const length of lengths) {
    mkdirSync(stateDirectory);
    writeFileSync(file, database);
    writeFileSync(`${file}-wal`, log.subarray(0, length));
    const store = openStore({ stateDirectory });
    const point = history.indexOf(stateOf(store));
    store.close();
    rmSync(stateDirectory, { recursive: true });
    assert.ok(
      point >= Math.max(latest, 0),
      `seed ${seed}: ${length} of ${log.length} bytes open as change ${point} after ${latest}`,
    );
    latest = point;
  }
  assert.equal(latest, changes, "the whole log is the whole history");
});

test("a log whose end is garbage opens as a prefix of history too", async (t) => {
  const directory = temporaryDirectory(t);
  const { history, database, log } = await writeHistory(join(directory, "original"));
  const seed = Date.now();
  const random = seededRandom(seed);
  for (let round = 0; round < 40; round += 1) {
    const damaged = Buffer.from(log);
    const from = random.integer(log.length);
    for (let at = from; at < log.length; at += 1) damaged[at] = random.integer(256);
    const stateDirectory = join(directory, `garbage-${round}`);
    mkdirSync(stateDirectory);
    writeFileSync(databaseFile(stateDirectory), database);
    writeFileSync(`${databaseFile(stateDirectory)}-wal`, damaged);
    const store = createTestStore(t, stateDirectory);
    assert.ok(history.includes(stateOf(store)), `seed ${seed}, garbage from byte ${from} on`);
  }
});
