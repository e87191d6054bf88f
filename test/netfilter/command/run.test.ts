import assert from "node:assert/strict";
import { readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createFileRun, runCommand } from "../../../src/netfilter/command/run.ts";
import { createDirectory } from "../../support/directories.ts";

const fixture = (name: string) => join(import.meta.dirname, "fixtures", name);

describe("a program that ends by itself", () => {
  test("gives its exit code and both of its outputs as they are", async () => {
    for (const exitCode of [0, 1, 2, 4, 255]) {
      assert.deepEqual(await runCommand(fixture("exit-with"), [String(exitCode)]), {
        exitCode,
        stdout: "out\n",
        stderr: "err\n",
      });
    }
  });

  test("gets its input, to the last byte", async () => {
    const input = `*filter\n-A INPUT -j ACCEPT\nCOMMIT\n${"é".repeat(100_000)}\n`;
    assert.equal((await runCommand("cat", [], input)).stdout, input);
  });

  test("has an empty input where it is given none", async () => {
    assert.deepEqual(await runCommand("cat", []), { exitCode: 0, stdout: "", stderr: "" });
  });

  test("may leave its input unread", async () => {
    const { exitCode, stdout } = await runCommand(fixture("ignore-input"), [], "x".repeat(1_000_000));
    assert.deepEqual([exitCode, stdout], [0, "done\n"]);
  });

  test("may print more than a megabyte", async () => {
    const { exitCode, stdout } = await runCommand(fixture("print-much"), ["3000000"]);
    assert.deepEqual([exitCode, stdout.length], [0, 3_000_000]);
  });
});

describe("the arguments", () => {
  test("reach the program as they are: no shell reads them", async () => {
    const args = ["$(id)", "`id`", "a b", "; exit 3", "*", "'\"", "", "$HOME", "-x", "--"];
    assert.equal((await runCommand(fixture("print-arguments"), args)).stdout, [...args, "LC_ALL=C", ""].join("\n"));
  });

  test("are told about memory what suits them, and not what the service is told about its own", async () => {
    const before = process.env["GLIBC_TUNABLES"];
    process.env["GLIBC_TUNABLES"] = "glibc.malloc.arena_max=1";
    try {
      const { stdout } = await runCommand("env", []);
      assert.match(stdout, /^LC_ALL=C$/m);
      assert.match(stdout, /^GLIBC_TUNABLES=glibc\.malloc\.hugetlb=1:glibc\.malloc\.top_pad=8388608$/m);
    } finally {
      if (before === undefined) delete process.env["GLIBC_TUNABLES"];
      else process.env["GLIBC_TUNABLES"] = before;
    }
  });
});

describe("a program that can't run to its end", () => {
  test("and is missing is not found", async () => {
    const result = await runCommand("connlimitd-no-such-program", ["--version"]);
    assert.deepEqual([result.exitCode, result.failure, result.stdout], [null, "not-found", ""]);
  });

  test("and is missing where an absolute path says is not found either", async () => {
    assert.equal((await runCommand(fixture("absent"), [], "input")).failure, "not-found");
  });

  test("and may not be executed says so by the system's code", async () => {
    const result = await runCommand(fixture("not-executable"), []);
    assert.deepEqual([result.exitCode, result.failure], [null, "EACCES"]);
  });

  test("because a signal ended it has no exit code", async () => {
    assert.equal((await runCommand(fixture("end-by-signal"), [])).exitCode, null);
  });

  test("because it hangs is ended soon, with its children, although they hold its outputs open", async () => {
    const begun = performance.now();
    const result = await runCommand(fixture("hang"), []);
    assert.deepEqual([result.exitCode, result.failure, result.stdout], [null, "hung", "begun\n"]);
    const took = performance.now() - begun;
    assert.ok(took > 1000 && took < 2500, `${took}`);
  });

  test("but works on is waited for", async () => {
    assert.equal((await runCommand(fixture("work-for-seconds"), ["2"])).exitCode, 0);
  });
});

/** However full the disk of the tests is. */
const anyRoom = { before: 0, after: 0 };

describe("a program whose output goes into a file", () => {
  test("comes to its end while this process is busy, and gives what it printed, however much, its errors and its exit code", async () => {
    const directory = await createDirectory();
    try {
      const run = createFileRun(directory.path, anyRoom);
      const much = run(fixture("print-much"), ["3000000"]);
      const failing = run(fixture("exit-with"), ["4"]);
      const input = `save\n${"é".repeat(100_000)}\n`;
      assert.equal((await run("cat", [], input)).stdout, input);
      assert.deepEqual(await failing, { exitCode: 4, stdout: "out\n", stderr: "err\n" });
      assert.equal((await much).stdout.length, 3_000_000);
      assert.deepEqual(await run("cat", []), { exitCode: 0, stdout: "", stderr: "" });
    } finally {
      directory.remove();
    }
  });

  test("leaves no file, and is not disturbed by one that a crash has left", async () => {
    const directory = await createDirectory();
    try {
      writeFileSync(join(directory.path, "output-1"), "of a start before, and longer than the answer");
      writeFileSync(join(directory.path, "other"), "kept");
      symlinkSync("other", join(directory.path, "output-2"));
      const run = createFileRun(directory.path, anyRoom);
      for (const _ of [1, 2]) assert.equal((await run(fixture("exit-with"), ["0"])).stdout, "out\n");
      assert.deepEqual(readdirSync(directory.path), ["other"]);
      assert.equal(readFileSync(join(directory.path, "other"), "utf8"), "kept");
    } finally {
      directory.remove();
    }
  });

  test("writes into a file where there is room for it, and into a pipe where it could take what others need", async () => {
    const directory = await createDirectory();
    try {
      const target = ["-n", "/proc/self/fd/1"];
      const withRoom = createFileRun(directory.path, anyRoom);
      assert.equal((await withRoom("readlink", target)).stdout, `${directory.path}/output-1 (deleted)`);
      const without = createFileRun(directory.path, { before: 2 ** 60, after: 0 });
      assert.match((await without("readlink", target)).stdout, /^(pipe|socket):/);
    } finally {
      directory.remove();
    }
  });

  test("is not believed when the disk has become full, as anything may be missing then", async () => {
    const directory = await createDirectory();
    try {
      const run = createFileRun(directory.path, { before: 0, after: 2 ** 60 });
      const { failure, stdout } = await run(fixture("exit-with"), ["0"]);
      assert.deepEqual([failure, stdout], ["ENOBUFS", ""]);
    } finally {
      directory.remove();
    }
  });

  test("gives the same where no file can be made", async () => {
    const run = createFileRun(fixture("absent"), anyRoom);
    assert.deepEqual(await run(fixture("exit-with"), ["4"]), { exitCode: 4, stdout: "out\n", stderr: "err\n" });
  });

  test("is said to have failed when it is missing, or prints more than anybody reads", async () => {
    const directory = await createDirectory();
    try {
      const run = createFileRun(directory.path, anyRoom);
      assert.equal((await run("connlimitd-no-such-program", [])).failure, "not-found");
      const endless = await run("head", ["-c", "70000000", "/dev/zero"]);
      assert.deepEqual([endless.failure, endless.stdout], ["ENOBUFS", ""]);
    } finally {
      directory.remove();
    }
  });
});
