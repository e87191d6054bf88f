import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { openStore } from "../../src/store/store.ts";
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
