// What runs the commands of the kernel tests: each is alone with its input, its outputs and its end.
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { killCommands, runCommand } from "./command-runner.ts";
import { withDirectory } from "./directories.ts";
import { eventually } from "./eventually.ts";
import { createNetwork } from "./namespaces.ts";

const run = (program: string, args: readonly string[] = [], input = "") => runCommand({ namespace: "", program, args, input });

describe("a command that is run for a test", { concurrency: true }, () => {
  test("gets its arguments, its input and LC_ALL=C, and gives both outputs and its exit code", async () => {
    const script = 'cat; printf "%s|" "$LC_ALL" "$@" >&2; exit 7';
    assert.deepEqual(await run("sh", ["-c", script, "sh", "", "ä \n$b"], "a\u0000\n€"), {
      code: 7,
      stdout: "a\u0000\n€",
      stderr: "C||ä \n$b|",
    });
  });

  test("may read and write megabytes, beside many others", async () => {
    const texts = Array.from({ length: 8 }, (_, index) => `${index} `.repeat(700_000));
    const results = await Promise.all(texts.map((text) => run("cat", [], text)));
    assert.ok(results.every(({ code, stdout }, index) => code === 0 && stdout === texts[index]));
  });

  test("need not read its input", async () => {
    assert.deepEqual(await run("true", [], "x".repeat(1_000_000)), { code: 0, stdout: "", stderr: "" });
  });

  test("holds nobody up, also when it has closed its outputs", async () => {
    await withDirectory(async (directory) => {
      const pipe = join(directory, "pipe");
      await run("mkfifo", [pipe]);
      const waits = run("sh", ["-c", 'exec >&- 2>&-; read line < "$0"', pipe]);
      await run("sh", ["-c", 'echo goes on > "$0"', pipe]);
      assert.deepEqual(await waits, { code: 0, stdout: "", stderr: "" });
    });
  });

  test("that is ended by a signal exits with -1, and one that there is not with 127", async () => {
    assert.equal((await run("sh", ["-c", "kill -9 $$"])).code, -1);
    assert.deepEqual(await run("no-such-program"), {
      code: 127,
      stdout: "",
      stderr: "no-such-program: No such file or directory\n",
    });
  });

  test("is in its namespace and is killed there alone; in none that is missing is anything run", async () => {
    await using network = await createNetwork();
    const links = await Promise.all(
      (["host", "client"] as const).map((side) => network.exec(side, "readlink", ["/proc/self/ns/net"])),
    );
    assert.equal(new Set([...links, (await run("readlink", ["/proc/self/ns/net"])).stdout]).size, 3);
    const [killed, survivor] = (["host", "client"] as const).map((side) => network.tryExec(side, "sleep", ["20"]));
    const running = () => Promise.all(Object.values(network.names).map((name) => run("ip", ["netns", "pids", name])));
    await eventually("both run", async () => (await running()).every(({ stdout }) => stdout !== ""));
    killCommands(network.names.host);
    assert.equal((await killed)?.code, -1);
    assert.deepEqual(
      (await running()).map(({ stdout }) => stdout === ""),
      [true, false],
    );
    killCommands(network.names.client);
    assert.equal((await survivor)?.code, -1);
    const nowhere = await runCommand({ namespace: "cld-none", program: "echo", args: ["here"], input: "" });
    assert.deepEqual([nowhere.code === 0, nowhere.stdout], [false, ""]);
  });
});
