import assert from "node:assert/strict";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { programFile } from "../../../src/netfilter/command/program-file.ts";
import { type OpenProgram, openProgram } from "../../../src/netfilter/command/run.ts";
import { createSession } from "../../../src/netfilter/command/session.ts";
import { withDirectory } from "../../support/directories.ts";
import { eventually } from "../../support/eventually.ts";

const fixture = (name: string) => join(import.meta.dirname, "fixtures", name);
const mark = "# done";

/** A session with a program that answers what it reads, and the numbers of the processes that were started for it. */
function echoing(identity = () => "") {
  const started: (number | undefined)[] = [];
  const session = createSession(() => {
    const program = openProgram("cat", []);
    started.push(program.pid);
    return program;
  }, identity);
  const echo = async (text: string): Promise<string> => {
    const answer = await session.ask(`${text}${mark}\n`, mark);
    assert.ok(answer.answered, JSON.stringify(answer));
    return answer.output;
  };
  return { session, started, echo };
}

test("one process answers request after request, each with what it printed before the mark", async () => {
  const { started, echo } = echoing();
  assert.equal(await echo("a\nb\n"), "a\nb\n");
  assert.equal(await echo(""), "");
  assert.deepEqual(await Promise.all(["x\n", "y\n", "z\n"].map(echo)), ["x\n", "y\n", "z\n"]);
  assert.equal(started.length, 1);
});

test("one that is prepared has its process already, and answers as it would otherwise", async () => {
  const { session, started, echo } = echoing();
  session.prepare();
  session.prepare();
  await eventually("the program is started", () => started.length > 0);
  assert.equal(await echo("a\n"), "a\n");
  session.prepare();
  assert.equal(await echo("b\n"), "b\n");
  assert.equal(started.length, 1);
});

test("one that can't be prepared says so to whoever asks", async () => {
  const session = createSession(
    () => openProgram("cat", []),
    () => {
      throw new Error("EACCES");
    },
  );
  session.prepare();
  await assert.rejects(session.ask(`${mark}\n`, mark), /EACCES/);
});

test("it tells when the program has a request, which is before it has answered", async () => {
  const { session } = echoing();
  const told: string[] = [];
  const answer = session.ask(`a\n${mark}\n`, mark, { onSent: () => told.push("sent") }).then(() => told.push("answered"));
  await answer;
  assert.deepEqual(told, ["sent", "answered"]);
  const absent = createSession(
    () => openProgram("/nonexistent/program", []),
    () => "",
    { greeting: { text: `${mark}\n`, mark } },
  );
  assert.equal((await absent.ask("a\n", mark, { onSent: () => told.push("sent") })).answered, false);
  assert.equal(told.length, 2);
});

test("a line that only ends like the mark is none", async () => {
  assert.equal(await echoing().echo("not # done\nabout # done\n"), "not # done\nabout # done\n");
});

test("a mark that is only known by its looks is for programs that prompt", async () => {
  await assert.rejects(echoing().session.ask("a\n", /a/), TypeError);
});

test("what it says of an error comes with the answer also where it is read a turn later", async () => {
  let listener: Parameters<OpenProgram["listen"]>[0] | undefined;
  const program: OpenProgram = {
    pid: undefined,
    // As where this process was busy when both came: its pipes are looked at one after the other, and one of them had been already.
    write: () =>
      void setImmediate(() => {
        listener?.output(`${mark}\n`);
        setImmediate(() => listener?.errors("oops\n"));
      }),
    listen: (next) => {
      listener = next;
      return () => {};
    },
    close: () => {},
    kill: () => {},
    ended: new Promise(() => {}),
  };
  const session = createSession(
    () => program,
    () => "",
  );
  assert.deepEqual(await session.ask(`${mark}\n`, mark), { answered: true, output: "", errors: "oops\n" });
});

test("one that is discarded is not asked again", async () => {
  const { session, started, echo } = echoing();
  await echo("a\n");
  session.discard();
  assert.equal(await echo("b\n"), "b\n");
  assert.equal(await echo("c\n"), "c\n");
  assert.equal(started.length, 2);
});

test("an answer may be megabytes long", async () => {
  const text = `${"é".repeat(99)}\n`.repeat(20_000);
  assert.equal(await echoing().echo(text), text);
});

test("what it says of an error comes with the answer", async () => {
  const session = createSession(
    () => openProgram(fixture("echo-with-error"), []),
    () => "",
  );
  assert.deepEqual(await session.ask(`${mark}\n`, mark), { answered: true, output: "", errors: "oops\n" });
  assert.deepEqual(await session.ask(`${mark}\n`, mark), { answered: true, output: "", errors: "oops\n" });
});

test("a program that ends gives its exit code and what it said, and the next request starts another", async () => {
  const session = createSession(
    () => openProgram(fixture("exit-with"), ["4"]),
    () => "",
  );
  for (let n = 0; n < 2; n += 1) {
    const answer = await session.ask(`${mark}\n`, mark);
    assert.deepEqual(answer, { answered: false, end: { exitCode: 4, stdout: "out\n", stderr: "err\n" } });
  }
});

test("a program that is killed while nobody asks is started anew", async () => {
  const { started, echo } = echoing();
  await echo("before\n");
  process.kill(started[0] ?? 0, "SIGKILL");
  while (started.length < 2) {
    // Until its end is known here, a request can be lost with it.
    await echo("after\n").catch(() => undefined);
  }
  assert.equal(await echo("after\n"), "after\n");
});

test("a program that hangs is ended soon, with its children", async () => {
  const session = createSession(
    () => openProgram(fixture("hang"), []),
    () => "",
  );
  const begun = performance.now();
  const answer = await session.ask(`${mark}\n`, mark);
  const took = performance.now() - begun;
  assert.ok(!answer.answered);
  assert.deepEqual([answer.end.exitCode, answer.end.failure, answer.end.stdout], [null, "hung", "begun\n"]);
  assert.ok(took > 1000 && took < 2500, `${took}`);
});

test("a program that is missing, and one that prints without an end, give no answer", async () => {
  const missing = await createSession(
    () => openProgram("connlimitd-no-such-program", []),
    () => "",
  ).ask(`${mark}\n`, mark);
  assert.ok(!missing.answered && missing.end.exitCode === 127, JSON.stringify(missing));
  const endless = await createSession(
    () => openProgram("yes", ["x".repeat(1000)]),
    () => "",
  ).ask(`${mark}\n`, mark);
  assert.ok(!endless.answered);
  assert.equal(endless.end.failure, "ENOBUFS");
});

test("another process takes over after 500 requests", async () => {
  const { started, echo } = echoing();
  for (let n = 0; n < 501; n += 1) assert.equal(await echo(`${n}\n`), `${n}\n`);
  assert.equal(started.length, 2);
});

test("a program that is replaced on the PATH is another from the next request on, and one that is gone is missing", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "echo-program");
    const write = (prefix: string): void => {
      writeFileSync(
        file,
        `#!/bin/sh\nwhile read -r line; do [ "$line" = "# done" ] || printf '${prefix} '; echo "$line"; done\n`,
      );
      chmodSync(file, 0o755);
    };
    write("first");
    const session = createSession(
      () => openProgram(file, []),
      () => programFile(file, ""),
    );
    const ask = async () => {
      const answer = await session.ask(`x\n${mark}\n`, mark);
      return answer.answered ? answer.output : answer.end.exitCode;
    };
    assert.deepEqual([await ask(), await ask()], ["first x\n", "first x\n"]);
    write("second");
    assert.equal(await ask(), "second x\n");
    chmodSync(file, 0o644);
    assert.equal(await ask(), 126);
  });
});

test("a program that reads to the end before it answers is as good as none, until it is another", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "slow-program");
    const write = (command: string): void => {
      writeFileSync(file, `#!/bin/sh\n${command}\n`);
      chmodSync(file, 0o755);
    };
    write('input=$(cat); echo "$input"');
    let starts = 0;
    const session = createSession(
      () => {
        starts += 1;
        return openProgram(file, []);
      },
      () => programFile(file, ""),
      { greeting: { text: `${mark}\n`, mark } },
    );
    for (let n = 0; n < 3; n += 1) {
      const answer = await session.ask(`x\n${mark}\n`, mark);
      assert.deepEqual(answer.answered ? answer : answer.end.failure, "not-found");
    }
    assert.equal(starts, 1);
    write("exec cat");
    assert.deepEqual(await session.ask(`x\n${mark}\n`, mark), { answered: true, output: "x\n", errors: "" });
  });
});

test("where there is no greeting, the first request finds out, and those after it do not try", async () => {
  let starts = 0;
  const session = createSession(
    () => {
      starts += 1;
      return openProgram(fixture("hang"), []);
    },
    () => "",
  );
  const failures: unknown[] = [];
  for (let n = 0; n < 3; n += 1) {
    const answer = await session.ask(`${mark}\n`, mark);
    failures.push(answer.answered || answer.end.failure);
  }
  assert.deepEqual([failures, starts], [["hung", "not-found", "not-found"], 1]);
});

test("a program's file is looked for along the PATH", () => {
  const path = "/no-such-directory:/usr/bin:/bin";
  assert.match(programFile("sh", path), /^\/usr\/bin\/sh \d/);
  assert.equal(programFile("sh", path), programFile("sh", path));
  assert.equal(programFile("connlimitd-no-such-program", path), "");
});
