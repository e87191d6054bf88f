import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseNetwork } from "../../../src/domain/network.ts";
import { openProgram } from "../../../src/netfilter/command/run.ts";
import { createFilteredDump } from "../../../src/netfilter/conntrack/filtered-dump.ts";
import { eventually } from "../../support/eventually.ts";
import { type Behaviour, createTalkingPrograms } from "../netlink/talking-programs.ts";
import { altered, answering, closedOne, end, openOne, refusal } from "./answers.ts";

const source = parseNetwork("10.9.0.7");
const open = { source: "10.9.0.7", destination: "192.0.2.1", port: 3306 };

const answers: Behaviour = (sequence) => [openOne, closedOne, end].map((message) => answering(sequence, message));

/** A dump over programs that do as they are told, and what became of these. */
function createDump(behaviour: Behaviour, options: { readonly idleLimit?: number } = {}) {
  const programs = createTalkingPrograms(behaviour);
  const dump = createFilteredDump({ open: programs.open, monotonic: programs.monotonic, patience: 50, ...options });
  return { ...programs, dump };
}

describe("a dump", () => {
  test("asks one program again and again, and tells the open connections", async () => {
    const { dump, started, ended } = createDump(answers);
    assert.deepEqual(await Promise.all([dump(source), dump(source)]), [[open], [open]]);
    assert.deepEqual(await dump(source), [open]);
    assert.deepEqual(started, ["socat -b 65536 STDIO SOCKET-SENDTO:16:3:12:x00000000000000000000"]);
    assert.deepEqual(ended, []);
  });

  test("starts nothing for a network or an IPv6 address, and says that it can't be asked", async () => {
    const { dump, started } = createDump(answers);
    assert.deepEqual(await Promise.all(["10.9.0.0/24", "2001:db8::1"].map((text) => dump(parseNetwork(text)))), [
      undefined,
      undefined,
    ]);
    assert.deepEqual(started, []);
  });

  test("passes over what belongs to an earlier request", async () => {
    const { dump, become } = createDump(answers);
    await dump(source);
    become((sequence) => [
      ...[openOne, end, refusal].map((message) => answering(sequence - 1, message)),
      ...[openOne, end].map((message) => answering(sequence, message)),
    ]);
    assert.deepEqual(await dump(source), [open]);
  });

  test("ends its program when nobody asks any more, and starts another for who asks then", async () => {
    const { dump, started, ended } = createDump(answers, { idleLimit: 30 });
    await dump(source);
    // Its timer keeps no process alive.
    await eventually("the program is closed", () => ended.length > 0);
    assert.deepEqual(ended, ["closed"]);
    assert.deepEqual(await dump(source), [open]);
    assert.equal(started.length, 2);
  });

  test("starts another program when one ended while nobody asked", async () => {
    const { dump, started, endProgram } = createDump(answers);
    await dump(source);
    endProgram();
    await new Promise(setImmediate);
    assert.deepEqual(await dump(source), [open]);
    assert.equal(started.length, 2);
  });
});

describe("a dump can't be had", () => {
  for (const [what, behaviour] of [
    ["of a program that ends", () => "ends"],
    ["of one that says nothing", () => []],
    ["of one that does not come to an end", (sequence) => [answering(sequence, openOne)]],
    ["of a kernel that refuses", (sequence) => [answering(sequence, refusal)]],
    ["of one that answers with what is no message", () => [Buffer.alloc(100)]],
  ] as const satisfies readonly (readonly [string, Behaviour])[]) {
    test(`${what}, which is not asked again for half a minute`, async () => {
      const { dump, started, ended, become, pass } = createDump(behaviour);
      assert.equal(await dump(source), undefined);
      assert.equal(ended[0], what.endsWith("ends") ? "by itself" : "killed");
      become(answers);
      pass(29_999);
      assert.equal(await dump(source), undefined);
      assert.equal(started.length, 1);
      pass(1);
      assert.deepEqual(await dump(source), [open]);
      assert.equal(started.length, 2);
    });
  }

  test("of a kernel that tells of others too, which is never asked again", async () => {
    const other = altered(openOne, "080001000a090007", "080001000a090008");
    const { dump, started, ended, pass } = createDump((sequence) => [answering(sequence, other), answering(sequence, end)]);
    assert.equal(await dump(source), undefined);
    assert.deepEqual(ended, ["killed"]);
    pass(1e9);
    assert.equal(await dump(source), undefined);
    assert.equal(started.length, 1);
  });

  test("of an address that has so many connections that the table is read sooner; others are asked for as before", async () => {
    const many = Buffer.concat(Array.from({ length: 15_000 }, () => answering(1, openOne)));
    const { dump, become, started, ended } = createDump(() => [many]);
    assert.equal(await dump(source), undefined);
    become(answers);
    assert.deepEqual(await dump(source), [open]);
    assert.deepEqual([started.length, ended], [2, ["killed"]]);
  });

  test("without the program, or when no program can be started", async () => {
    for (const start of [
      () => openProgram("connlimitd-no-such-program", [], "bytes"),
      () => {
        throw new Error("EMFILE");
      },
    ]) {
      assert.equal(await createFilteredDump({ open: start })(source), undefined);
    }
  });
});

test("a program that is given bytes gets and gives each of them as it is", async () => {
  const program = openProgram("cat", [], "bytes");
  const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)).toString("latin1");
  let got = "";
  const stopListening = program.listen({
    output: (piece) => {
      got += piece;
    },
    errors: () => assert.fail("it says nothing of errors"),
  });
  program.write(all);
  await eventually("all is there", () => got.length >= all.length);
  stopListening();
  program.close();
  assert.equal(got, all);
  assert.equal((await program.ended).exitCode, 0);
});
