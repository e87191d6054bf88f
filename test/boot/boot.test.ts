import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { withDirectory } from "../support/directories.ts";
import { root } from "../support/service.ts";

const directory = join(root, "scripts/boot");
const sources = async (): Promise<ReadonlyMap<string, string>> => {
  const names = await readdir(directory);
  return new Map(await Promise.all(names.map(async (name) => [name, await readFile(join(directory, name), "utf8")] as const)));
};

/** Boots these lines instead of the service; resolves with what they print. */
async function boot(service: string, args: readonly string[], options = ""): Promise<string> {
  let printed = "";
  await withDirectory(async (path) => {
    await copyFile(join(root, "dist/main.js"), join(path, "main.js"));
    await writeFile(join(path, "package.json"), '{ "type": "commonjs" }');
    await writeFile(join(path, "service.js"), service);
    const env = { ...process.env, NODE_OPTIONS: options };
    printed = (await promisify(execFile)(process.execPath, [...args, join(path, "main.js")], { env })).stdout.trim();
  });
  return printed;
}

const wordsOf = (text: string): readonly string[] => text.split(" ");

/** Another number for other flags of V8. */
const tag = 'require("node:v8").cachedDataVersionTag()';
/** @param later flags that are set in the running process */
async function tagOf(args: readonly string[], later: readonly string[] = []): Promise<string> {
  const set = later.map((flag) => `require("node:v8").setFlagsFromString("${flag}");`).join("");
  const env = { ...process.env, NODE_OPTIONS: "" };
  return (await promisify(execFile)(process.execPath, [...args, "-p", `${set}${tag}`], { env })).stdout.trim();
}
const untilOtherFlags = `const before = ${tag};
  const timer = setInterval(() => { if (${tag} !== before) { clearInterval(timer); console.log(${tag}); } }, 20);`;

test("the service begins without V8's compilers, and gets them when its start is over", async () => {
  const beginning = await boot(`console.log(${tag});`, ["--max-semi-space-size=4"]);
  assert.equal(beginning, await tagOf([], ["--no-sparkplug", "--no-maglev", "--no-turbofan"]));
  const later = ["--heap-growing-percent=25", "--invocation-count-for-maglev=2000", "--invocation-count-for-maglev-osr=500"];
  assert.equal(await boot(untilOtherFlags, ["--max-semi-space-size=4"]), await tagOf([], later));
});

test("a V8 that compiles nothing is left so, whoever said it", async () => {
  const [one, ...others] = await Promise.all([
    boot(untilOtherFlags, ["--jitless"]),
    boot(untilOtherFlags, [], "--jitless"),
    boot(untilOtherFlags, ["--lite-mode"]),
  ]);
  for (const answer of [one, ...others]) assert.match(answer ?? "", /^\d+$/);
});

test("what V8 was told from outside stays so, however it is spelled", async () => {
  for (const args of ["--no-sparkplug --no_maglev --noturbofan", "--no-sparkplug --no-maglev --no-turbofan"].map(wordsOf))
    assert.equal(await boot(`console.log(${tag});`, args), await tagOf(args));
  const args = wordsOf(
    "--no-maglev --heap-growing-percent=60 --invocation_count_for_maglev=70 --invocation-count-for-maglev-osr=80",
  );
  assert.equal(await boot(untilOtherFlags, args), await tagOf(args));
});

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
  for (const [name, text] of await sources()) assert.doesNotMatch(text, /["'`]\.\.\//, name);
});
