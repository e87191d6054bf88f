import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EnforcementDelayed } from "../../../src/domain/ports.ts";
import type { CommandResult, RunCommand } from "../../../src/netfilter/command/run.ts";
import { createIpSets } from "../../../src/netfilter/ipset/sets.ts";

describe("the first reading of the sets, into a file", () => {
  const saved = "create cld4-grace hash:net family inet maxelem 5 timeout 0\nadd cld4-grace 192.0.2.1 timeout 9\n";
  const version = "ipset v7.17, protocol version: 7\n";
  const whole = `ipset> ${version}ipset> ${saved}ipset> ipset> ${version}ipset> `;
  function reading(output: Partial<CommandResult>) {
    const calls: string[] = [];
    const runWith =
      (kind: string, answer: Partial<CommandResult>): RunCommand =>
      async (file, args, input) => {
        calls.push([kind, file, ...args, ...(input === undefined ? [] : [input])].join(" "));
        return { exitCode: 0, stdout: "", stderr: "", ...answer };
      };
    const sets = createIpSets({ run: runWith("pipe", { stdout: "" }), runIntoFile: runWith("file", output) });
    return { sizes: async () => [...(await sets.read())].map(([name, { entries }]) => [name, entries.size]), calls };
  }
  const [asked, again] = ["file ipset - version\nsave\nversion\n", "pipe ipset save"];

  test("is all that is there when the program has told its version once more, and is the only one of its kind", async () => {
    const { sizes, calls } = reading({ stdout: whole });
    assert.deepEqual([await sizes(), calls], [[["cld4-grace", 1]], [asked]]);
    await sizes();
    assert.deepEqual(calls, [asked, again]);
  });

  for (const [what, output] of [
    ["that ends before it, on a full disk", { stdout: whole.slice(0, -40) }],
    ["of which there is nothing", { stdout: "" }],
    ["that ends within somebody's comment", { stdout: whole.replace("timeout 0\n", `timeout 0 comment "x\nipset> ${version}`) }],
    ["that fails", { exitCode: 1, stdout: whole }],
    ["that complains", { stdout: whole, stderr: "out of memory\n" }],
    ["that takes too long", { exitCode: null, failure: "timed-out", stdout: whole }],
  ] as const)
    test(`${what} is followed by a program, which has the last word`, async () => {
      const { sizes, calls } = reading(output);
      assert.deepEqual([await sizes(), calls], [[], [asked, again]]);
    });

  test("that hangs delays enforcement, and nobody hangs once more for it", async () => {
    const { sizes, calls } = reading({ exitCode: null, failure: "hung" });
    await assert.rejects(sizes(), (error: Error) => {
      assert.ok(error instanceof EnforcementDelayed);
      return error.message === "ipset save fails: it hangs and was ended";
    });
    assert.deepEqual(calls, [asked]);
  });
});
