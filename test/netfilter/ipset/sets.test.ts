import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EnforcementDelayed } from "../../../src/domain/ports.ts";
import type { CommandResult, RunCommand } from "../../../src/netfilter/command/run.ts";
import type { OpenSession, SessionAnswer } from "../../../src/netfilter/command/session.ts";
import { createIpSets } from "../../../src/netfilter/ipset/sets.ts";

function answering(...answers: readonly Partial<CommandResult>[]) {
  return answeringWith({}, ...answers);
}

function answeringWith(options: { readonly releasedAtOnce?: boolean }, ...answers: readonly Partial<CommandResult>[]) {
  const calls: Parameters<RunCommand>[] = [];
  const run: RunCommand = async (...call) => {
    calls.push(call);
    return { exitCode: 0, stdout: "", stderr: "", ...(answers[calls.length - 1] ?? answers.at(-1)) };
  };
  const pauses: number[] = [];
  const wait = async (milliseconds: number) => pauses.push(milliseconds);
  return { sets: createIpSets({ run, wait, ...options }), calls, pauses };
}

const missing = { exitCode: null, failure: "not-found" };
const broken = { exitCode: 1, stderr: "ipset v7.17: Kernel error\n  received: Operation not permitted\n" };

function delayed(message: RegExp) {
  return (error: unknown) => error instanceof EnforcementDelayed && message.test(error.message);
}

describe("ipset", () => {
  test("is there where it can make sets of the types that are needed", async () => {
    const { sets, calls } = answering({});
    assert.equal(await sets.unavailable(), null);
    assert.deepEqual(
      calls.map(([, args]) => args),
      [["restore", "-exist"]],
    );
  });

  test("is not there where the program is missing, and the reason tells the remedy", async () => {
    assert.match((await answering(missing).sets.unavailable()) ?? "", /program ipset is missing: install Debian's package ipset/);
  });

  test("is not there where the kernel does not take part, and the reason quotes it", async () => {
    const reason = (await answering(broken).sets.unavailable()) ?? "";
    assert.match(reason, /\(ipset v7\.17: Kernel error received: Operation not permitted\): .*ip_set, .*xt_set/);
  });

  test("may be there all the same where the program does not come to its end: that is told later", async () => {
    for (const failure of ["timed-out", "hung", "EAGAIN"]) {
      await assert.rejects(answering({ exitCode: null, failure }).sets.unavailable(), delayed(/^ipset restore fails: /));
      await assert.rejects(answering(broken, { exitCode: null, failure }).sets.unavailable(), delayed(/^ipset list fails: /));
    }
    await assert.rejects(answering({ exitCode: null }).sets.unavailable(), delayed(/ended by a signal$/));
  });
});

describe("the sets", () => {
  test("are read by one program, those of others left out", async () => {
    const { sets, calls } = answering({
      stdout: "create cld4-grace hash:net family inet maxelem 5\ncreate other hash:ip maxelem 5\n",
    });
    assert.deepEqual([...(await sets.read()).keys()], ["cld4-grace"]);
    assert.deepEqual(calls, [["ipset", ["save"]]]);
  });

  test("that can't be read delay enforcement", async () => {
    await assert.rejects(answering(broken).sets.read(), delayed(/^ipset save fails: ipset v7\.17: Kernel error received/));
    await assert.rejects(answering(missing).sets.read(), delayed(/^ipset save fails: the program is missing$/));
    await assert.rejects(answering({ exitCode: null }).sets.read(), delayed(/ended by a signal$/));
    await assert.rejects(answering({ exitCode: null, failure: "hung" }).sets.read(), delayed(/it hangs and was ended$/));
  });

  test("are not taken to be gone where ipset exits with 0 and prints something else", async () => {
    await assert.rejects(answering({ stdout: "xyzzy 123\n" }).sets.read(), delayed(/can't be read at: xyzzy 123$/));
    await assert.rejects(answering({ stderr: "Kernel error\n" }).sets.read(), delayed(/^ipset save fails: Kernel error$/));
    await assert.rejects(answering({ stderr: "Kernel error\n" }).sets.sizes(), delayed(/^ipset list fails: Kernel error$/));
    await assert.rejects(answering({ stderr: "Kernel error\n" }).sets.restore(["x"]), delayed(/^ipset restore fails: Kernel/));
    await assert.rejects(answering({ stdout: "oops\n" }).sets.restore(["x"]), delayed(/exit code 0 and says: oops$/));
    const warning = { stderr: "Warning: Kernel support protocol versions 6-7 while userspace supports 6-6\n" };
    assert.equal((await answering(warning).sets.read()).size, 0);
    await answering(warning).sets.restore(["x"]);
  });

  test("are written by one program, however many lines there are, and what is there already is no error", async () => {
    const { sets, calls } = answering({});
    await sets.restore(["add cld4-grace 192.0.2.1", "del cld4-grace 192.0.2.2"]);
    assert.deepEqual(calls, [["ipset", ["restore", "-exist"], "add cld4-grace 192.0.2.1\ndel cld4-grace 192.0.2.2\n"]]);
  });

  test("that can't be written delay enforcement", async () => {
    await assert.rejects(
      answering(broken).sets.restore(["x"]),
      delayed(/^ipset restore fails: ipset v7\.17: Kernel error received/),
    );
    await assert.rejects(answering({ exitCode: null, failure: "timed-out" }).sets.restore(["x"]), delayed(/timed-out$/));
  });

  test("quote no more than a screenful of what the program said", async () => {
    const endless = answering({ exitCode: 1, stderr: "x".repeat(100_000) });
    await assert.rejects(endless.sets.restore(["x"]), (error: Error) => error.message.length < 400);
  });
});

describe("a session with ipset", () => {
  function asking(answer: SessionAnswer, alone: Partial<CommandResult> = {}) {
    const asked: Parameters<ReturnType<OpenSession>["ask"]>[] = [];
    const calls: Parameters<RunCommand>[] = [];
    const run: RunCommand = async (...call) => {
      calls.push(call);
      return { exitCode: 0, stdout: "", stderr: "", ...alone };
    };
    const open: OpenSession = (file, args) => ({
      ask: async (...request) => {
        assert.deepEqual([file, args], ["ipset", ["restore", "-exist"]]);
        asked.push(request);
        return answer;
      },
      prepare: () => {},
      discard: () => {},
    });
    return { sets: createIpSets({ run, open }), asked, calls };
  }
  const ended = (end: Partial<CommandResult>): SessionAnswer => ({
    answered: false,
    end: { exitCode: null, stdout: "", stderr: "", ...end },
  });

  test("writes without starting a program, and lists a set to tell that it is done", async () => {
    const { sets, asked, calls } = asking({ answered: true, output: "", errors: "" });
    await sets.restore(["add cld4-grace 192.0.2.1", "del cld4-grace 192.0.2.2"]);
    const text = "add cld4-grace 192.0.2.1\ndel cld4-grace 192.0.2.2\nCOMMIT\nlist -name cld4-operator\n";
    assert.deepEqual([asked, calls], [[[text, "cld4-operator"]], []]);
  });

  test("that ends is followed by a program for the same lines, which has the last word", async () => {
    for (const end of [{ exitCode: 1, stderr: "Error in line 513" }, { failure: "not-found" }, {}]) {
      const good = asking(ended(end));
      await good.sets.restore(["x"]);
      assert.deepEqual(good.calls, [["ipset", ["restore", "-exist"], "x\n"]]);
      await assert.rejects(asking(ended(end), broken).sets.restore(["x"]), delayed(/^ipset restore fails: ipset v7\.17: Kernel/));
    }
  });

  test("that hangs, or says something, delays enforcement", async () => {
    await assert.rejects(asking(ended({ failure: "hung" })).sets.restore(["x"]), delayed(/it hangs and was ended$/));
    const said = { answered: true, output: "", errors: "out of memory\n" } as const;
    await assert.rejects(asking(said).sets.restore(["x"]), delayed(/goes on and says: out of memory$/));
  });
});

describe("a session that reads the sets", () => {
  const create = "create cld4-grace hash:net family inet maxelem 5 timeout 0\n";
  const entries = (count: number): string =>
    Array.from({ length: count }, (_, n) => `add cld4-grace 10.0.${n >> 8}.${n & 255} timeout 9\n`).join("");
  /** Sets whose programs print `saved` and whose session answers with `answer`; with what the session was asked and which programs ran. */
  function reading(saved: string, answer: SessionAnswer) {
    const [asked, calls] = [[] as string[], [] as string[]];
    let discarded = 0;
    const run: RunCommand = async (file, args) => {
      calls.push([file, ...args].join(" "));
      return { exitCode: 0, stdout: saved, stderr: "" };
    };
    const open: OpenSession = (file, args, { greeting, prompting } = {}) => ({
      ask: async (text, mark) => {
        asked.push([file, ...args].join(" "), text);
        assert.deepEqual([greeting?.text, greeting?.mark, prompting?.prompt], ["version\nversion\n", mark, "ipset> "]);
        return answer;
      },
      prepare: () => {},
      discard: () => (discarded += 1),
    });
    const sets = createIpSets({ run, open });
    const sizes = async () => [...(await sets.read())].map(([name, { entries: found }]) => [name, found.size]);
    return { sets, sizes, asked, calls, discarded: () => discarded };
  }
  const answered = (output: string, errors = ""): SessionAnswer => ({ answered: true, output, errors });
  const ended = (end: Partial<CommandResult>): SessionAnswer => ({
    answered: false,
    end: { exitCode: null, stdout: "", stderr: "", ...end },
  });

  test("is asked when a program has told what there was at the start", async () => {
    const { sizes, asked, calls } = reading(create, answered(`${create}${entries(2)}`));
    assert.deepEqual([await sizes(), await sizes()], [[["cld4-grace", 0]], [["cld4-grace", 2]]]);
    assert.deepEqual([asked, calls], [["ipset -", "version\nsave\nversion\n"], ["ipset save"]]);
  });

  test("another one is asked how many entries there are, as what it prints for that is not what is saved", async () => {
    const counted = "Name: cld4-grace\nType: hash:net\nNumber of entries: 7\n";
    const { sets, asked, calls } = reading("", answered(counted));
    assert.deepEqual(await sets.sizes(), new Map([["cld4-grace", 7]]));
    assert.deepEqual([asked, calls], [["ipset -", "version\nlist -terse\nversion\n"], []]);
    const alone = reading(counted, ended({ exitCode: 1 }));
    assert.deepEqual(await alone.sets.sizes(), new Map([["cld4-grace", 7]]));
    assert.deepEqual(alone.calls, ["ipset list -terse"]);
    await assert.rejects(reading("", ended({ failure: "hung" })).sets.sizes(), delayed(/^ipset list -terse fails: it hangs/));
  });

  test("that ends, complains, or says what nobody knows, is followed by a program, which has the last word", async () => {
    for (const [answer, discards] of [
      [ended({ exitCode: 1 }), 0],
      [ended({ failure: "not-found" }), 0],
      [answered("", "Kernel error received\n"), 1],
      [answered("xyzzy 123\n"), 1],
      [answered(`${create}create theirs hash:ip comment\nadd theirs 192.0.2.1 comment "a\n`), 1],
      [answered(`${create}create `), 1],
    ] as const) {
      const { sizes, calls, discarded } = reading(create, answer);
      assert.deepEqual([await sizes(), await sizes()], [[["cld4-grace", 0]], [["cld4-grace", 0]]]);
      assert.deepEqual([calls.length, discarded()], [2, discards]);
    }
  });

  test("that hangs delays enforcement", async () => {
    const hung = reading(create, ended({ failure: "hung" }));
    await hung.sizes();
    await assert.rejects(hung.sizes(), delayed(/^ipset save fails: it hangs and was ended$/));
  });
});

describe("sets that are destroyed", () => {
  const inUse = {
    exitCode: 1,
    stderr: "ipset v7.17: Error in line 1: Set cannot be destroyed: it is in use by a kernel component\n",
  };
  const list = ["ipset", ["list", "-terse"]];
  /** What `list -terse` tells of rules that hold the sets a and b. */
  const heldBy = (a: number, b: number): Partial<CommandResult> => ({
    stdout: `Name: cld4-a\nReferences: ${a}\nNumber of entries: 1\n\nName: cld4-b\nReferences: ${b}\nNumber of entries: 1\n`,
  });
  const free = heldBy(0, 0);

  test("are destroyed by one program where nothing keeps them", async () => {
    const { sets, calls } = answering(free, {});
    assert.deepEqual(await sets.destroy(["cld4-a", "cld4-b"]), []);
    assert.deepEqual(calls, [list, ["ipset", ["restore", "-exist"], "destroy cld4-a\ndestroy cld4-b\n"]]);
  });

  test("are named where rules of others keep them, and the rest goes all the same", async () => {
    const held = heldBy(1, 0);
    const { sets, calls, pauses } = answering(held, held, held, held, held, held, {}, inUse);
    assert.deepEqual(await sets.destroy(["cld4-a", "cld4-b"]), ["cld4-a"]);
    assert.deepEqual(pauses, [10, 20, 40, 80, 160, 100]);
    const destroyA = ["ipset", ["destroy", "cld4-a"]];
    assert.deepEqual(calls.slice(6), [["ipset", ["restore", "-exist"], "destroy cld4-b\n"], destroyA, destroyA]);
  });

  test("are waited for while the kernel frees the rules that held them", async () => {
    const { sets, calls, pauses } = answering(heldBy(1, 1), heldBy(0, 2), free, {});
    assert.deepEqual(await sets.destroy(["cld4-a", "cld4-b"]), []);
    assert.deepEqual([calls.length, pauses], [4, [10, 20]]);
  });

  test("are destroyed one by one where some can't be, and once more, as who lists one holds it for a moment", async () => {
    const { sets, calls, pauses } = answering(free, inUse, inUse, {}, {});
    assert.deepEqual(await sets.destroy(["cld4-a", "cld4-b"]), []);
    const [destroyA, destroyB] = ["cld4-a", "cld4-b"].map((name) => ["ipset", ["destroy", name]]);
    assert.deepEqual([calls.slice(2), pauses], [[destroyA, destroyB, destroyA], [100]]);
  });

  test("are destroyed without a look at who holds them where that fails", async () => {
    const { sets, calls } = answering(broken, {});
    assert.deepEqual(await sets.destroy(["cld4-a"]), []);
    assert.deepEqual(calls, [list, ["ipset", ["restore", "-exist"], "destroy cld4-a\n"]]);
  });

  test("are destroyed without a look where a rule that is gone holds none", async () => {
    const { sets, calls } = answeringWith({ releasedAtOnce: true }, {});
    assert.deepEqual(await sets.destroy(["cld4-a"]), []);
    assert.deepEqual(calls, [["ipset", ["restore", "-exist"], "destroy cld4-a\n"]]);
  });

  test("are looked at there too where others hold some, so that not each of thousands is tried alone", async () => {
    const held = heldBy(1, 0).stdout?.replace("cld4-b", "cld4-c") ?? "";
    const looks = Array.from({ length: 6 }, () => ({ stdout: held }));
    const { sets, calls } = answeringWith({ releasedAtOnce: true }, inUse, ...looks, {}, inUse);
    assert.deepEqual(await sets.destroy(["cld4-b", "cld4-a", "cld4-c"]), ["cld4-a"]);
    const destroyA = ["ipset", ["destroy", "cld4-a"]];
    assert.deepEqual(calls.slice(7), [["ipset", ["restore", "-exist"], "destroy cld4-c\n"], destroyA, destroyA]);
  });

  test("are tried where a list tells of none of them, as it may be one that nobody can read", async () => {
    const { sets, calls } = answering({ stdout: "Name:\tcld4-a\n" }, {});
    assert.deepEqual(await sets.destroy(["cld4-a"]), []);
    assert.deepEqual(calls, [list, ["ipset", ["restore", "-exist"], "destroy cld4-a\n"]]);
  });

  test("are not kept by anything where they are gone already", async () => {
    const gone = { exitCode: 1, stderr: "ipset v7.17: The set with the given name does not exist\n" };
    assert.deepEqual(await answering(free, inUse, gone).sets.destroy(["cld4-a"]), []);
  });

  test("delay enforcement where the program can't be started", async () => {
    await assert.rejects(answering(missing).sets.destroy(["cld4-a"]), delayed(/ipset destroy fails: the program is missing/));
    await assert.rejects(
      answering(free, missing).sets.destroy(["cld4-a"]),
      delayed(/ipset destroy fails: the program is missing/),
    );
    await assert.rejects(answering(free, inUse, broken).sets.destroy(["cld4-a"]), delayed(/Operation not permitted/));
    await assert.rejects(answering(free, inUse, { exitCode: null }).sets.destroy(["cld4-a"]), delayed(/ended by a signal/));
  });
});
