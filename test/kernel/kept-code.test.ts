// A start that finds what V8 has made of the bundle at the one before.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { createNetwork } from "../support/namespaces.ts";
import { startService } from "../support/service.ts";

test("a start keeps the code of what it called, for the next one, which does without where that is damaged", async () => {
  await using network = await createNetwork();
  // Its own, not that of the tests.
  await using service = await startService({ network, backend: "nft", env: { NODE_COMPILE_CACHE: "" } });
  const directory = join(service.stateDirectory, "compile-cache");
  const kept = (): Record<string, string> => {
    const files = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".code"));
    return Object.fromEntries(files.map((name) => [name.replace(/^.*\//, ""), join(directory, name)]));
  };
  const areKept = (): boolean => kept()["compose.js.code"] !== undefined && kept()["servers.js.code"] !== undefined;
  // The first start makes the state directory, and keeps nothing yet.
  await service.restart();
  await eventually("the code is kept", areKept, { within: 20_000 });
  const [place = "", other = ""] = [kept()["servers.js.code"], kept()["compose.js.code"]];
  const before = statSync(place);
  rmSync(other);
  await service.restart();
  assert.equal((await service.request("GET", "/v1/status")).status, 200);
  await eventually("what was missing is kept again", () => existsSync(other), { within: 20_000 });
  // The rest served, as V8 has taken it.
  assert.deepEqual([statSync(place).ino, statSync(place).mtimeMs], [before.ino, before.mtimeMs]);

  const damaged = readFileSync(place);
  damaged.fill(0, damaged.length / 2, damaged.length / 2 + 4096);
  writeFileSync(place, damaged);
  await service.restart();
  assert.equal((await service.request("GET", "/v1/status")).status, 200);
  await eventually("the damaged code is replaced", () => !readFileSync(place).equals(damaged), { within: 20_000 });
});
