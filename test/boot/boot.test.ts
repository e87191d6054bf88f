import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "../support/service.ts";

const directory = join(root, "scripts/boot");
const sources = async (): Promise<ReadonlyMap<string, string>> => {
  const names = await readdir(directory);
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(directory, name), "utf8")] as const)));
};

test("what loads the bundle runs scripts, starts no program and makes no code of text", async () => {
  for (const [name, text] of await sources()) {
    assert.doesNotMatch(text, /(from |import\(|require\()"(node:)?(child_process|worker_threads|net|http|execa)/, name);
    assert.doesNotMatch(text, /\beval\(|new Function\(|process\.binding/, name);
    assert.deepEqual(
      [...text.matchAll(/import .* from "node:vm"/g)].flat(),
      name === "script-loader.ts" ? ['import { Script } from "node:vm"'] : [],
    );
  }
});

test("what loads the bundle imports nothing of the service, which comes with code that is kept", async () => {
  for (const [name, text] of await sources()) assert.doesNotMatch(text, /from "\.\.\//, name);
});
