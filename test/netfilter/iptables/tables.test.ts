import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DomainError } from "../../../src/domain/errors.ts";
import { EnforcementDelayed } from "../../../src/domain/ports.ts";
import type { CommandResult, RunCommand } from "../../../src/netfilter/command/run.ts";
import type { OpenSession, SessionAnswer } from "../../../src/netfilter/command/session.ts";
import { createFilterTable } from "../../../src/netfilter/iptables/tables.ts";

const whole = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n";
const lines = ["*filter", "-A INPUT -j CLD-INPUT", "COMMIT"];

function answering(answer: Partial<CommandResult>): { run: RunCommand; calls: Parameters<RunCommand>[] } {
  const calls: Parameters<RunCommand>[] = [];
  const run: RunCommand = async (...call) => {
    calls.push(call);
    return { exitCode: 0, stdout: "", stderr: "", ...answer };
  };
  return { run, calls };
}

/** Each thing that the table does, as a caller sees it. */
const actions = {
  read: (answer: Partial<CommandResult>) => createFilterTable(4, "nft", answering(answer).run).read(),
  test: (answer: Partial<CommandResult>) => createFilterTable(4, "nft", answering(answer).run).test(lines),
  apply: (answer: Partial<CommandResult>) => createFilterTable(4, "nft", answering(answer).run).apply(lines),
};

async function assertDelayed(outcome: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(outcome, (error: Error) => {
    assert.ok(error instanceof EnforcementDelayed, String(error));
    assert.match(error.message, message);
    return true;
  });
}

async function assertRefused(outcome: Promise<unknown>, message: RegExp): Promise<void> {
  await assert.rejects(outcome, (error: Error) => {
    assert.ok(error instanceof DomainError && error.code === "kernel-refused", String(error));
    assert.match(error.message, message);
    return true;
  });
}

describe("the program is called with exactly these arguments", () => {
  for (const [family, backend, name] of [
    [4, "nft", "iptables-nft"],
    [6, "nft", "ip6tables-nft"],
    [4, "legacy", "iptables-legacy"],
    [6, "legacy", "ip6tables-legacy"],
  ] as const) {
    test(`for ${name}`, async () => {
      const { run, calls } = answering({});
      const table = createFilterTable(family, backend, run);
      await table.read();
      await table.test(lines);
      await table.apply(lines);
      assert.deepEqual(calls, [
        [`${name}-save`, ["-t", "filter"]],
        [`${name}-restore`, ["--noflush", "-w", "1", "--test"], "*filter\n-A INPUT -j CLD-INPUT\nCOMMIT\n"],
        [`${name}-restore`, ["--noflush", "-w", "1"], "*filter\n-A INPUT -j CLD-INPUT\nCOMMIT\n"],
      ]);
    });
  }
});

test("a table that can be read is parsed", async () => {
  assert.deepEqual((await actions.read({ stdout: whole })).input, ["-j ACCEPT"]);
});

describe("while the program can't answer, enforcement is delayed:", () => {
  for (const action of ["read", "test", "apply"] as const) {
    test(`${action}: the program is missing`, () =>
      assertDelayed(
        actions[action]({ exitCode: null, failure: "not-found" }),
        /the program iptables-nft-(save|restore) is missing/,
      ));

    test(`${action}: it takes too long`, () =>
      assertDelayed(actions[action]({ exitCode: null, failure: "timed-out" }), /did not answer: timed-out/));

    test(`${action}: it may not be executed`, () =>
      assertDelayed(actions[action]({ exitCode: null, failure: "EACCES" }), /did not answer: EACCES/));

    test(`${action}: a signal ends it`, () => assertDelayed(actions[action]({ exitCode: null }), /was ended by a signal/));

    test(`${action}: another program holds the lock`, () =>
      assertDelayed(
        actions[action]({ exitCode: 4, stderr: "Another app is currently holding the xtables lock; still 1s left.\n" }),
        /could not get the lock: Another app is currently holding/,
      ));
  }

  test("a failing save says what the program said, on one line", () =>
    assertDelayed(
      actions.read({ exitCode: 1, stderr: "iptables-save:\n  no permission\n" }),
      /fails: iptables-save: no permission$/,
    ));

  test("a save that exits with 0 and prints an error is no empty table", () =>
    assertDelayed(
      actions.read({ stdout: "iptables-save v1.8.9: Could not fetch rule set\n" }),
      /iptables-nft-save fails: iptables-save v1\.8\.9: Could not fetch rule set$/,
    ));

  test("nor is one that says in a comment that it can't show the table", () =>
    assertDelayed(
      actions.read({ stdout: "# Table `filter' is incompatible, use 'nft' tool.\n" }),
      /fails: # Table `filter' is incompatible/,
    ));

  test("a save that warns of the other backend's rules is read all the same", async () => {
    const warning = "# Warning: iptables-legacy tables present, use iptables-legacy-save to see them\n";
    assert.deepEqual((await actions.read({ stdout: `${warning}${whole}` })).input, ["-j ACCEPT"]);
    assert.deepEqual((await actions.read({ stderr: warning })).input, []);
  });

  for (const action of ["test", "apply"] as const) {
    test(`${action}: it hangs`, () => assertDelayed(actions[action]({ exitCode: null, failure: "hung" }), /hangs and was ended/));

    test(`${action}: it fails and names no line of the text, as when the kernel can't be reached at all`, () =>
      assertDelayed(
        actions[action]({ exitCode: 4, stderr: "Could not fetch rule set generation id: Permission denied\n" }),
        /iptables-nft-restore fails: Could not fetch rule set generation id/,
      ));

    test(`${action}: it fails and says nothing`, () =>
      assertDelayed(actions[action]({ exitCode: 1 }), /iptables-nft-restore fails: exit code 1$/));

    test(`${action}: it exits with 0 and prints an error`, () =>
      assertDelayed(actions[action]({ stderr: "out of memory\n" }), /ends with exit code 0 and says: out of memory$/));

    for (const warning of [
      "# Warning: iptables-legacy tables present, use iptables-legacy to see them",
      "Warning: Extension connlimit revision 0 not supported, missing kernel module?",
    ])
      test(`${action}: what is only a warning is no failure (${warning})`, () => actions[action]({ stderr: `${warning}\n` }));
  }

  test("a save that ends too early is no table", () =>
    assertDelayed(actions.read({ stdout: whole.replace("COMMIT\n", "") }), /ends before its COMMIT/));
});

describe("what iptables refuses is told in its own words:", () => {
  for (const action of ["test", "apply"] as const) {
    test(`${action}: exit code 1`, () =>
      assertRefused(
        actions[action]({ exitCode: 1, stderr: "iptables-restore: line 2 failed\n" }),
        /refuses: iptables-restore: line 2 failed$/,
      ));

    test(`${action}: exit code 2, bad words`, () =>
      assertRefused(
        actions[action]({ exitCode: 2, stderr: "Chain 'NOPE' does not exist\nError occurred at line: 3\n" }),
        /Chain 'NOPE' does not exist Error occurred at line: 3$/,
      ));

    test(`${action}: exit code 4, which nft uses when the kernel refuses a rule`, () =>
      assertRefused(
        actions[action]({
          exitCode: 4,
          stderr:
            "iptables-nft-restore v1.8.9 (nf_tables): \nline 2: RULE_APPEND failed (Invalid argument): rule in chain INPUT\n",
        }),
        /RULE_APPEND failed \(Invalid argument\)/,
      ));
  }

  test("a very long message is cut", () =>
    assert.rejects(actions.apply({ exitCode: 1, stderr: "x".repeat(100_000) }), (error: Error) => error.message.length < 600));
});

describe("a session is asked instead of starting a program:", () => {
  const listing = "-P INPUT ACCEPT\n-P FORWARD DROP\n-N CLD-INPUT\n-N OTHER\n-A INPUT -j ACCEPT\n-A CLD-INPUT -j RETURN\n";
  const saved =
    "*filter\n:INPUT ACCEPT [7:420]\n:FORWARD DROP [0:0]\n:CLD-INPUT - [0:0]\n:OTHER - [0:0]\n-A INPUT -j ACCEPT\n-A CLD-INPUT -j RETURN\nCOMMIT\n";

  /** A table whose sessions give these answers in turn, the last one again and again, and whose programs say `alone`. */
  function asking(
    answers: readonly SessionAnswer[],
    alone: Partial<CommandResult> = { stdout: saved },
    { backend = "legacy", lockHeld = async () => false }: { backend?: "legacy" | "nft"; lockHeld?: () => Promise<boolean> } = {},
  ) {
    const asked: string[] = [];
    const { run, calls } = answering(alone);
    const open: OpenSession = (file, args) => ({
      ask: async (text) => {
        const [mark = ""] = /# cld [0-9a-f]{16}/.exec(text) ?? [];
        asked.push(`${[file, ...args].join(" ")}: ${text.trim().replaceAll(mark, "MARK").split("\n").join(" | ")}`);
        const answer = answers[asked.length - 1] ?? answers.at(-1) ?? answered("");
        return answer.answered ? { ...answer, output: answer.output.replaceAll("MARK", mark) } : answer;
      },
      prepare: () => {},
      discard: () => {},
    });
    return { table: createFilterTable(4, backend, run, { open, lockHeld }), asked, calls };
  }
  const answered = (output: string, errors = ""): SessionAnswer => ({ answered: true, output, errors });
  const ended = (end: Partial<CommandResult>): SessionAnswer => ({
    answered: false,
    end: { exitCode: null, stdout: "", stderr: "", ...end },
  });

  test("one for what is read and written, and one for tests", async () => {
    const { table, asked, calls } = asking([answered(listing), answered("")]);
    await table.read();
    await table.test(lines);
    await table.apply(lines);
    assert.deepEqual(asked, [
      "iptables-legacy-restore --noflush -w 60 -v: *filter | -S | COMMIT | MARK",
      "iptables-legacy-restore --noflush -w 60 -v --test: *filter | -A INPUT -j CLD-INPUT | COMMIT | MARK",
      "iptables-legacy-restore --noflush -w 60 -v: *filter | -A INPUT -j CLD-INPUT | COMMIT | MARK",
    ]);
    assert.deepEqual(calls, []);
  });

  test("the table that it lists is the one that would be saved", async () => {
    const listed = await asking([answered(listing)]).table.read();
    const saved = await asking([ended({ exitCode: 1 })]).table.read();
    assert.deepEqual(listed, { ...saved, listing });
    assert.deepEqual([...listed.own], [["CLD-INPUT", ["-j RETURN"]]]);
  });

  test("what it lists and nobody knows is no table", () =>
    assertDelayed(asking([answered("xyzzy: 17\n")]).table.read(), /can't be read at: xyzzy: 17/));

  test("one that complains while it lists is not believed, and the table is saved", async () => {
    const { table, calls } = asking([answered("", "out of memory\n")]);
    assert.deepEqual((await table.read()).input, ["-j ACCEPT"]);
    assert.deepEqual(calls, [["iptables-legacy-save", ["-t", "filter"]]]);
  });

  test("the tables that come earlier are listed with their names above them, and saved where it does not answer", async () => {
    const told = answered(
      "MARK raw\n-P PREROUTING ACCEPT\n-A PREROUTING -j DROP\n# mangle\n*mangle\nMARK mangle\n-P INPUT ACCEPT\n",
    );
    const [drop, nft] = [["-A PREROUTING -j DROP"], { backend: "nft" } as const];
    const { table, asked, calls } = asking([told], {}, nft);
    assert.deepEqual(
      await table.readEarlier(),
      new Map([
        ["raw", drop],
        ["mangle", []],
      ]),
    );
    assert.deepEqual(calls, []);
    const question = "MARK raw | *raw | -S | COMMIT | MARK mangle | *mangle | -S | COMMIT | MARK";
    assert.deepEqual(asked, [`iptables-nft-restore --noflush -w 60 -v: ${question}`]);
    const all = "*mangle\n:INPUT ACCEPT [0:0]\nCOMMIT\n*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j DROP\nCOMMIT\n";
    const alone = asking([ended({ exitCode: 1 })], { stdout: `${all}${saved}` }, nft);
    assert.deepEqual(await alone.table.readEarlier(), await table.readEarlier());
    assert.deepEqual(alone.calls, [["iptables-nft-save", []]]);
    const strange = "# Table `raw' is incompatible, use 'nft' tool.\n";
    assert.deepEqual(
      [...(await asking([ended({ exitCode: 1 })], { stdout: strange }, nft).table.readEarlier()).values()].flat(),
      [],
    );
    await assertDelayed(asking([ended({ exitCode: 1 })], { stdout: strange }, nft).table.read(), /is incompatible/);
    const broken = asking([ended({ exitCode: 1 })], { exitCode: 1, stderr: "no kernel" }, nft);
    await assertDelayed(broken.table.readEarlier(), /^iptables-nft-save fails: no kernel$/);
  });

  test("one that complains while it writes has failed", () =>
    assertDelayed(asking([answered("", "out of memory\n")]).table.apply(lines), /goes on and says: out of memory$/));

  test("what it refuses is asked once more, alone, so that the message counts the lines of this text only", async () => {
    const alone = { exitCode: 1, stderr: "iptables-restore: line 2 failed\n" };
    const { table, calls } = asking([ended({ exitCode: 1, stderr: "iptables-restore: line 713 failed\n" })], alone);
    await assertRefused(table.apply(lines), /refuses: iptables-restore: line 2 failed$/);
    assert.deepEqual(calls.length, 1);
  });

  test("where stdbuf or the program is missing, each request starts a program", async () => {
    for (const end of [{ failure: "not-found" }, { exitCode: 127, stderr: "stdbuf: failed to run command" }]) {
      const { table, calls } = asking([ended(end)]);
      await table.read();
      assert.equal(calls.length, 1);
    }
  });

  test("one that hangs, or that somebody kills, may have done its work or not: nothing is repeated", async () => {
    for (const [end, message] of [
      [{ failure: "hung" }, /hangs and was ended/],
      [{}, /ended by a signal/],
      [{ exitCode: 0 }, /ended before it answered/],
    ] as const) {
      const { table, calls } = asking([ended(end)]);
      await assertDelayed(table.apply(lines), message);
      assert.deepEqual(calls, []);
      // A question changes nothing.
      assert.deepEqual((await table.read()).input, ["-j ACCEPT"]);
      assert.deepEqual(calls, [["iptables-legacy-save", ["-t", "filter"]]]);
    }
  });

  test("none that would wait for the lock, which nft does not have", async () => {
    const alone = { exitCode: 4, stderr: "Another app is currently holding the xtables lock.\n" };
    const held = { lockHeld: async () => true };
    const legacy = asking([answered(listing)], alone, held);
    await assertDelayed(legacy.table.apply(lines), /could not get the lock/);
    await assertDelayed(legacy.table.test(lines), /would have to wait for the lock/);
    const reading = asking([answered(listing)], { stdout: saved }, held);
    assert.deepEqual((await reading.table.read()).input, ["-j ACCEPT"]);
    assert.deepEqual([...legacy.asked, ...reading.asked], []);
    const nft = asking([answered(listing)], {}, { ...held, backend: "nft" });
    await nft.table.read();
    assert.deepEqual([nft.asked.length, nft.calls.length], [1, 0]);
  });
});
