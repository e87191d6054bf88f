import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createGeneration } from "../../../src/netfilter/iptables/generation.ts";
import { answering, refusal } from "../conntrack/answers.ts";
import { type Behaviour, createTalkingPrograms } from "../netlink/talking-programs.ts";

/** What kernel 6.18 said of generation 258, asked by socat. */
const told = Buffer.from(
  "300000000f0a000001000000c070000000000102080001000000010208000200000070c00a000300736f636174000000",
  "hex",
);
const cut = Buffer.from("1c0000000f0a000001000000c0700000000001020600010001020000", "hex");

function createAsked(behaviour: Behaviour) {
  const programs = createTalkingPrograms(behaviour);
  return { ...programs, generation: createGeneration({ open: programs.open, monotonic: programs.monotonic, patience: 50 }) };
}

test("the number is the one that the kernel tells, asked over one program", async () => {
  const { generation, started, requests } = createAsked((sequence) => [answering(sequence, told)]);
  assert.deepEqual([await generation.current(), await generation.current()], [258, 258]);
  assert.deepEqual(started, ["socat -b 65536 STDIO SOCKET-SENDTO:16:3:12:x00000000000000000000"]);
  assert.deepEqual(requests, ["14000000100a0100010000000000000000000000", "14000000100a0100020000000000000000000000"]);
});

test("a program that is going to be asked can be started before", async () => {
  const { generation, started } = createAsked((sequence) => [answering(sequence, told)]);
  generation.prepare();
  generation.prepare();
  assert.equal(started.length, 1);
  assert.equal(await generation.current(), 258);
  assert.equal(started.length, 1);
});

describe("nobody knows it", () => {
  for (const [what, behaviour] of [
    ["where the kernel refuses", (sequence) => [answering(sequence, refusal)]],
    ["where the number is too short to be one", (sequence) => [answering(sequence, cut)]],
    ["where nothing is said", () => []],
    ["where the program ends", () => "ends"],
  ] as const satisfies readonly (readonly [string, Behaviour])[]) {
    test(`${what}, nor soon afterwards`, async () => {
      const { generation, started, become, pass } = createAsked(behaviour);
      assert.equal(await generation.current(), undefined);
      become((sequence) => [answering(sequence, told)]);
      generation.prepare();
      assert.equal(await generation.current(), undefined);
      assert.equal(started.length, 1);
      pass(30_000);
      assert.equal(await generation.current(), 258);
    });
  }

  test("where no program can be started", async () => {
    const generation = createGeneration({
      open: () => {
        throw new Error("EMFILE");
      },
    });
    generation.prepare();
    assert.equal(await generation.current(), undefined);
  });
});
