import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EnforcementDelayed } from "../../../src/domain/ports.ts";
import type { CommandResult, RunCommand } from "../../../src/netfilter/command/run.ts";
import type { OpenSession } from "../../../src/netfilter/command/session.ts";
import { createFilterTable } from "../../../src/netfilter/iptables/tables.ts";

describe("a reading that is begun before it is asked for", () => {
  const rule = (words: string): string =>
    `*filter\n:INPUT ACCEPT [0:0]\n${words}\nCOMMIT\n# Completed on Fri Nov 27 18:00:00 2026\n`;
  async function begun(output: Partial<CommandResult>, isHeld = false) {
    const log: string[] = [];
    const runWith =
      (kind: string, answer: Partial<CommandResult>): RunCommand =>
      async (file, args) => {
        log.push(`${kind}: ${[file, ...args].join(" ")}`);
        return { exitCode: 0, stdout: "", stderr: "", ...answer };
      };
    const open: OpenSession = (file) => ({
      ask: async () => {
        log.push(`session: ${file}`);
        return { answered: true, output: "-P INPUT ACCEPT\n-A INPUT -j DROP\n", errors: "" };
      },
      prepare: () => void log.push(`session: start ${file}`),
      discard: () => {},
    });
    const runIntoFile = runWith("file", output);
    const table = createFilterTable(4, "legacy", runWith("pipe", {}), { open, runIntoFile, lockHeld: async () => isHeld });
    await table.readSoon();
    return { table, log };
  }
  const [list, ask] = ["file: iptables-legacy-save -t filter", "session: iptables-legacy-restore"];

  test("is what the next one gives, and the one after that looks again", async () => {
    const { table, log } = await begun({ stdout: rule("-A INPUT -j ACCEPT") });
    let asked = 0;
    assert.deepEqual((await table.read({ onAsked: () => (asked += 1) })).input, ["-j ACCEPT"]);
    assert.deepEqual([log, asked], [[list], 1]);
    assert.deepEqual((await table.read()).input, ["-j DROP"]);
    assert.deepEqual(log, [list, ask]);
  });

  for (const [what, output] of [
    ["whose disk was full from the beginning", { stdout: "" }],
    ["whose disk was full in the middle", { stdout: rule("-A INPUT -j ACCEPT").slice(0, 40) }],
    ["whose last line is missing", { stdout: rule("-A INPUT").slice(0, -30) }],
    ["that holds what nobody knows", { stdout: rule("xyzzy 17") }],
    ["that failed", { exitCode: 1, stderr: "iptables-legacy-save: out of memory" }],
  ] as const)
    test(`${what} is made again by whoever asks`, async () => {
      const { table, log } = await begun(output);
      assert.deepEqual((await table.read()).input, ["-j DROP"]);
      assert.deepEqual(log, [list, ask]);
    });

  test("that hangs delays enforcement, and nobody hangs once more for it", async () => {
    for (const failure of ["hung", "timed-out"]) {
      const { table, log } = await begun({ exitCode: null, failure });
      await assert.rejects(table.read(), EnforcementDelayed);
      assert.deepEqual(log, [list]);
    }
  });

  test("is left to a session, which waits for the lock, while somebody has that", async () => {
    const { log } = await begun({}, true);
    assert.deepEqual(log, ["session: start iptables-legacy-restore"]);
  });
});
