import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { openStore } from "../../src/store/store.ts";
import { sampleOperatorBan } from "../support/samples.ts";
import { createTestStore, temporaryDirectory } from "../support/test-store.ts";

test("a process that is killed while it writes leaves all that it acknowledged, and no gaps", { timeout: 60_000 }, async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const writer = spawn(process.execPath, [join(import.meta.dirname, "numbered-writer.ts"), stateDirectory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => writer.kill("SIGKILL"));
  const ended = once(writer, "close");
  const acknowledged: number[] = [];
  for await (const line of createInterface({ input: writer.stdout })) {
    acknowledged.push(Number(line));
    if (acknowledged.length === 1) {
      assert.throws(() => openStore({ stateDirectory }), { name: "StoreOpenError", code: "in-use" });
    }
    if (acknowledged.length === 400) writer.kill("SIGKILL");
  }
  await ended;

  const store = createTestStore(t, stateDirectory);
  const kept = new Set(store.operatorBans().map((ban) => ban.address));
  const prefix = Array.from({ length: kept.size }, (_, number) => `ban-${number}`);
  assert.deepEqual(kept, new Set(prefix));
  assert.ok(kept.size > Math.max(...acknowledged), `${kept.size} kept, ${Math.max(...acknowledged)} acknowledged`);
  assert.equal(store.revision(), kept.size);
});

test("a change of many rows opens no file but those of the state directory, as no other need be writable", async (t) => {
  const stateDirectory = temporaryDirectory(t);
  const store = createTestStore(t, stateDirectory);
  const bans = Array.from({ length: 3000 }, (_, number) => sampleOperatorBan({ address: `10.0.${number >> 8}.${number & 255}` }));
  const putAll = (actor: string) =>
    store.transact((change) => {
      for (const ban of bans) change.putOperatorBan({ ...ban, actor });
      return openFiles();
    });
  await putAll("first");
  const before = new Set(openFiles());

  const files = await putAll("second");

  const database = realpathSync(join(stateDirectory, "state.db"));
  assert.ok(files.includes(database));
  assert.deepEqual(
    files.filter((file) => file.startsWith("/") && !file.startsWith("/proc/") && !file.startsWith(database) && !before.has(file)),
    [],
  );
});

function openFiles(): readonly string[] {
  return readdirSync("/proc/self/fd").flatMap((descriptor) => {
    try {
      return [readlinkSync(`/proc/self/fd/${descriptor}`)];
    } catch {
      // The one that lists them is closed by now.
      return [];
    }
  });
}
