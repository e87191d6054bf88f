import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DomainError } from "../../../src/domain/errors.ts";
import { EnforcementDelayed } from "../../../src/domain/ports.ts";
import type { CommandResult, RunCommand } from "../../../src/netfilter/command/run.ts";
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
