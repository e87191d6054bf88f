import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parseNetwork } from "../../src/domain/network.ts";
import { dumpRequest } from "../../src/netfilter/conntrack/conntrack-messages.ts";
import { commandFault, listWriteFault } from "../support/command-grammar.ts";
import { hostileString, hostileStrings } from "../support/hostile-strings.ts";
import { injectedFields } from "../support/injected-fields.ts";
import { createInjectionScene, type InjectionScene } from "../support/injection-scene.ts";
import { root } from "../support/service.ts";

/** Writes between which everything is taken back, so that what is stored stays small. */
const roundLength = 500;

/** bench/injection.ts puts 10,000 into every field. */
const suiteLength = 3000;

async function inject(scene: InjectionScene, texts: readonly (readonly [string, (typeof injectedFields)[number]])[]) {
  const statuses = new Map<number, number>();
  for (const [at, [text, field]] of texts.entries()) {
    const { status, body } = await scene.send(field.request(text));
    assert.ok(status < 500 || status === 503 || status === 507, `${field.name} ${JSON.stringify(text)}: ${status} ${body}`);
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    if (at % roundLength === roundLength - 1) await scene.clear();
  }
  return statuses;
}

function accepted(statuses: ReadonlyMap<number, number>): number {
  return (statuses.get(200) ?? 0) + (statuses.get(201) ?? 0);
}

test("what people try first, in every field, never leaves the service but in the grammar of its commands", async () => {
  await using scene = await createInjectionScene();
  const all = injectedFields.flatMap((field) => hostileStrings.map((text) => [text, field] as const));
  const statuses = await inject(scene, all);
  assert.deepEqual(scene.faults(), []);
  assert.ok(accepted(statuses) > 300, "descriptions and reasons are accepted, so that something is written");
  assert.ok(scene.compared() > accepted(statuses), "each that is accepted sends something, and all of it is compared");
});

test("hostile strings without end, over all fields, never leave the service but in the grammar of its commands", async () => {
  await using scene = await createInjectionScene();
  const texts = fc.sample(hostileString, suiteLength);
  const fields = texts.map((text, at) => [text, injectedFields[at % injectedFields.length]] as const);
  const statuses = await inject(
    scene,
    fields.flatMap(([text, field]) => (field === undefined ? [] : [[text, field] as const])),
  );
  assert.deepEqual(scene.faults(), []);
  assert.ok(accepted(statuses) > 100);
  assert.ok(scene.compared() > accepted(statuses), "each that is accepted sends something, and all of it is compared");
});

test("the grammar has no room for what is hostile", () => {
  const args = ["--noflush", "-w", "1"];
  for (const text of hostileStrings.filter((each) => each !== "" && each !== "COMMIT")) {
    assert.notEqual(commandFault({ file: "iptables-nft-restore", args, input: `-A CLD-INPUT ${text}\n` }), undefined, text);
    assert.notEqual(commandFault({ file: "iptables-nft-restore", args: [...args, text], input: "COMMIT\n" }), undefined, text);
    assert.notEqual(
      commandFault({ file: "ipset", args: ["restore", "-exist"], input: `add cld4-operator 1.2.3.4 timeout 0 ${text}\n` }),
      undefined,
    );
    if (!/^[+-][0-9.]+$/.test(text)) assert.notEqual(listWriteFault(`cld4-operator ${text}`), undefined, text);
    if (text !== "cld4-operator") assert.notEqual(listWriteFault(`${text} +1.2.3.4`), undefined, text);
  }
  assert.equal(
    commandFault({ file: "ipset", args: ["restore", "-exist"], input: "add cld4-operator 1.2.3.4 timeout 0\n" }),
    undefined,
  );
  assert.equal(listWriteFault("cld4-operator +1.2.3.4"), undefined);
});

test("what the kernel is asked of an address is in the grammar for each address, and nothing else is", () => {
  const args = ["-b", "65536", "STDIO", "SOCKET-SENDTO:16:3:12:x00000000000000000000"];
  const faultOf = (bytes: Buffer) => commandFault({ file: "socat", args, input: bytes.toString("latin1") });
  for (const address of ["0.0.0.0", "10.0.10.13", "203.0.113.9", "255.255.255.255"]) {
    const request = dumpRequest(parseNetwork(address), 0xdeadbeef);
    assert.equal(faultOf(request), undefined, address);
    assert.notEqual(faultOf(Buffer.concat([request, request])), undefined);
    for (const at of [0, 4, 6, 12, 16, 20, 24, 28, 36, 44, 48, 60]) {
      const other = Buffer.from(request);
      other[at] = 0xee;
      assert.notEqual(faultOf(other), undefined, `byte ${at}`);
    }
  }
  assert.notEqual(commandFault({ file: "socat", args: ["STDIO", "EXEC:id"], input: "" }), undefined);
});

test("one file starts programs, and none of them through a shell", async () => {
  const files = await readdir(join(root, "src"), { recursive: true });
  const starters: string[] = [];
  for (const file of files.filter((name) => name.endsWith(".ts"))) {
    const text = await readFile(join(root, "src", file), "utf8");
    assert.doesNotMatch(text, /child_process|worker_threads|node:vm|\beval\(|new Function\(|process\.binding/, file);
    if (/from "execa"|import\("execa"\)/.test(text)) starters.push(file);
  }
  assert.deepEqual(starters, ["netfilter/command/run.ts"]);
  const run = await readFile(join(root, "src/netfilter/command/run.ts"), "utf8");
  assert.match(run, /import \{ execa \} from "execa"/);
  assert.doesNotMatch(run, /shell:|execaCommand|\$`|node:/);
});
