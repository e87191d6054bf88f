import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { hash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { createScriptLoader } from "../../scripts/boot/script-loader.ts";
import { temporaryDirectory } from "../support/test-store.ts";

const manyFunctions = Array.from({ length: 20 }, (_, at) => `exports.f${at} = () => "${"-".repeat(50)}${at}".length;`).join("\n");

/** A directory with scripts, one for what is kept of them, and loaders of both. */
function scene(t: TestContext, scripts: Readonly<Record<string, string>>) {
  const scriptsIn = temporaryDirectory(t);
  const kept = join(scriptsIn, "kept");
  mkdirSync(kept);
  const write = (name: string, source: string): void => writeFileSync(join(scriptsIn, name), source);
  for (const [name, source] of Object.entries(scripts)) write(name, source);
  const loader = () => createScriptLoader(() => kept);
  const place = (name: string) => join(kept, `${name}.code`);
  return { scriptsIn, kept, write, loader, file: (name: string) => join(scriptsIn, name), place };
}

const agent = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { loader, directory, file, calls } = workerData;
  import(loader).then(async ({ createScriptLoader }) => {
    const scripts = createScriptLoader(() => directory);
    const answers = Object.values(scripts.load(file)).map((call) => (calls ? call() : undefined));
    await scripts.keep();
    parentPort.postMessage(answers);
  });
`;

/** Loads a script, calls all that it exports, if told so, and keeps what has come of that. In a V8 of its own: one takes what it has compiled before from memory. */
async function loadAnew(file: string, directory: string | undefined, calls = true): Promise<unknown[]> {
  const loader = new URL("../../scripts/boot/script-loader.ts", import.meta.url).href;
  const worker = new Worker(agent, { eval: true, workerData: { loader, directory, file, calls } });
  const [answers] = (await once(worker, "message")) as [unknown[]];
  await worker.terminate();
  return answers;
}

/** Another text when the file was written anew. */
const writing = (file: string): string => `${statSync(file).ino} ${statSync(file).mtimeMs}`;

test("a script is run once, and whoever requires it beside another gets the same exports", (t) => {
  const { loader, file } = scene(t, {
    "a.js": 'exports.b = require("./b.js"); exports.join = require("node:path").join;',
    "b.js": "exports.runs = (globalThis.runsOfB = (globalThis.runsOfB ?? 0) + 1);",
  });
  const load = loader().load;
  const a = load(file("a.js")) as { b: unknown; join: unknown };
  assert.deepEqual(a.b, { runs: 1 });
  assert.equal(load(file("b.js")), a.b);
  assert.equal(load(file("a.js")), a);
  assert.equal(a.join, join);
});

test("a script is told its file and its directory, and may replace its exports", (t) => {
  const { loader, file, scriptsIn } = scene(t, { "a.js": "module.exports = [__filename, __dirname];" });
  assert.deepEqual(loader().load(file("a.js")), [file("a.js"), scriptsIn]);
});

test("scripts that require each other see what the other one has exported so far", (t) => {
  const { loader, file } = scene(t, {
    "a.js": 'exports.early = 1; exports.seen = require("./b.js").seen; exports.late = 2;',
    "b.js": 'exports.seen = { ...require("./a.js") };',
  });
  assert.deepEqual(loader().load(file("a.js")), { early: 1, seen: { early: 1 }, late: 2 });
});

test("text beyond ASCII is read as UTF-8", (t) => {
  const { loader, file } = scene(t, { "a.js": 'exports.text = "é 漢";' });
  assert.deepEqual(loader().load(file("a.js")), { text: "é 漢" });
});

test("an error of a script says where it is", (t) => {
  const { loader, file } = scene(t, { "a.js": 'exports.fail = () => { throw new Error("so it goes"); };' });
  const { fail } = loader().load(file("a.js")) as { fail: () => void };
  assert.throws(fail, (error: Error) => error.stack?.includes(`${file("a.js")}:1:`) === true);
});

test("code that is kept serves the next start, which has nothing to replace", async (t) => {
  const { file, kept, place } = scene(t, { "a.js": manyFunctions });
  const answers = await loadAnew(file("a.js"), kept);
  const before = writing(place("a.js"));
  assert.deepEqual(await loadAnew(file("a.js"), kept), answers);
  assert.equal(writing(place("a.js")), before);
});

test("the functions that were called are kept, and stay where fewer are called", async (t) => {
  const { file, kept, place } = scene(t, { "a.js": manyFunctions });
  await loadAnew(file("a.js"), kept, false);
  const { size } = statSync(place("a.js"));
  await loadAnew(file("a.js"), kept);
  assert.ok(statSync(place("a.js")).size > size * 1.5, "more functions are kept than before");
  const before = writing(place("a.js"));
  await loadAnew(file("a.js"), kept, false);
  assert.equal(writing(place("a.js")), before);
});

test("code of another source is not believed, be that as long", async (t) => {
  const { write, file, kept } = scene(t, { "a.js": manyFunctions });
  await loadAnew(file("a.js"), kept);
  write("a.js", manyFunctions.replaceAll(".length", ".at(-1)").padEnd(manyFunctions.length));
  assert.deepEqual((await loadAnew(file("a.js"), kept)).at(-1), "9");
  write("a.js", manyFunctions.replaceAll(".length", ".at(-2)").padEnd(manyFunctions.length));
  assert.deepEqual((await loadAnew(file("a.js"), kept)).at(-1), "1");
});

test("code that was cut, or changed anywhere, is not believed, and replaced", async (t) => {
  const { file, kept, place } = scene(t, { "a.js": manyFunctions });
  const answers = await loadAnew(file("a.js"), kept);
  const whole = readFileSync(place("a.js"));
  const flipped = (at: number): Buffer => {
    const copy = Buffer.from(whole);
    copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
    return copy;
  };
  const cut = [0, 80, whole.length - 1].map((length) => whole.subarray(0, length));
  for (const damage of [...cut, flipped(10), flipped(60), flipped(whole.length >> 1)]) {
    writeFileSync(place("a.js"), damage);
    assert.deepEqual(await loadAnew(file("a.js"), kept), answers);
    assert.equal(readFileSync(place("a.js")).equals(damage), false);
  }
});

test("code of another version of V8 is replaced", async (t) => {
  const { file, kept, place } = scene(t, { "a.js": manyFunctions });
  const answers = await loadAnew(file("a.js"), kept);
  const forged = readFileSync(place("a.js"));
  const code = forged.subarray(80);
  // Its first word says what made it.
  code.writeUInt8(code.readUInt8(0) ^ 1, 0);
  forged.write(hash("sha1", code), 40, "latin1");
  writeFileSync(place("a.js"), forged);
  assert.deepEqual(await loadAnew(file("a.js"), kept), answers);
  assert.equal(readFileSync(place("a.js")).equals(forged), false);
});

test("what can't be kept is lost, and nothing else happens", async (t) => {
  const { file, kept, place } = scene(t, { "a.js": manyFunctions });
  rmSync(kept, { recursive: true });
  assert.equal((await loadAnew(file("a.js"), kept)).length, 20);
  assert.equal(existsSync(kept), false);
  mkdirSync(kept);
  mkdirSync(place("a.js"));
  await loadAnew(file("a.js"), kept);
  assert.deepEqual(readdirSync(kept), ["a.js.code"]);
});

test("what is no file is not waited for", async (t) => {
  const { file, kept, place } = scene(t, { "a.js": manyFunctions });
  await promisify(execFile)("mkfifo", [place("a.js")]);
  assert.equal((await loadAnew(file("a.js"), kept)).length, 20);
  assert.equal(statSync(place("a.js")).isFile(), true);
});

test("without a directory nothing is kept", async (t) => {
  const { file, scriptsIn } = scene(t, { "a.js": manyFunctions });
  const before = readdirSync(scriptsIn);
  await loadAnew(file("a.js"), undefined);
  assert.deepEqual(readdirSync(scriptsIn), before);
});

test("what is kept can be read by its owner alone", async (t) => {
  const { file, kept, place } = scene(t, { "a.js": manyFunctions });
  await loadAnew(file("a.js"), kept);
  assert.equal(statSync(place("a.js")).mode & 0o777, 0o600);
});
