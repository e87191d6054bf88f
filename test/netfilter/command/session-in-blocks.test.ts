import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { blockSize, openProgram } from "../../../src/netfilter/command/run.ts";
import { createSession } from "../../../src/netfilter/command/session.ts";

const mark = "# done";

describe("a program that writes in blocks", () => {
  const padding = { line: `#${"-".repeat(blockSize)}\n`, rest: /^#?-*\n/ };

  test("answers request after request, and what pushes an answer out is no part of any", async () => {
    const session = createSession(
      () => openProgram("sed", [""], "blocks"),
      () => "",
      { greeting: { text: `${mark}\n`, mark }, padding },
    );
    const echo = async (text: string): Promise<string> => {
      const answer = await session.ask(`${text}${mark}\n`, mark);
      assert.ok(answer.answered, JSON.stringify(answer));
      return answer.output;
    };
    const lines = (count: number) => Array.from({ length: count }, (_, n) => `line ${n}\n`).join("");
    const texts = [
      "",
      "a\n",
      "",
      "# about it\n",
      "not # done\n# done or not\n",
      ...[1, 10, 700, 5000, 20_000].map(lines),
      "",
      "x\n",
    ];
    for (const text of texts) assert.equal(await echo(text), text);
    // Whatever the place in a block at which an answer ends.
    for (let length = blockSize - 20; length < blockSize + 20; length += 1)
      assert.equal(await echo(`${"x".repeat(length)}\n`), `${"x".repeat(length)}\n`);
  });

  test("says what it says, whatever is expected of it", async () => {
    const session = createSession(
      () => openProgram("sed", [""], "blocks"),
      () => "",
      { padding },
    );
    const lines = (count: number, last = "") => `${Array.from({ length: count }, (_, n) => `line ${n}\n`).join("")}${last}`;
    const texts = ["", "a\n", "b\n", lines(5), ...[3000, 3001].flatMap((count) => [lines(count), lines(count, "-\n")])];
    for (const expected of texts)
      for (const text of texts) {
        const answer = await session.ask(`${text}${mark}\n`, mark, { expected });
        assert.ok(answer.answered && answer.output === text, `${text.length} characters where ${expected.length} were expected`);
      }
  });

  test("and is interrupted while it says what is expected has said only that", async () => {
    const session = createSession(
      () => openProgram("sed", ["/^end/q"], "blocks"),
      () => "",
      { padding },
    );
    const answer = await session.ask("a\nend\n", mark, { expected: "a\nend\nb\n" });
    assert.deepEqual(answer, { answered: false, end: { exitCode: 0, stdout: "a\nend\n", stderr: "" } });
  });

  test("and ends tells what it said, without the rest of an earlier padding", async () => {
    const session = createSession(
      () => openProgram("sed", ["/^end/q"], "blocks"),
      () => "",
      { padding },
    );
    assert.deepEqual(await session.ask(`a\n${mark}\n`, mark), { answered: true, output: "a\n", errors: "" });
    const answer = await session.ask(`b\nend\n${mark}\n`, mark);
    assert.deepEqual(answer, { answered: false, end: { exitCode: 0, stdout: "b\nend\n", stderr: "" } });
  });
});

describe("a program that writes in blocks and prompts", () => {
  const prompting = { prompt: "? ", flush: `help ${"x".repeat(blockSize)}\n` };
  /** Repeats what it is told, as many times as it is told to. */
  const program = String.raw`$| = 0; print "? "; while (<>) { s/\|/\n/; print /^(\d+) (.*)/s ? $2 x $1 : /^end/ ? exit : /^version/ ? "v1.2\n" : /^help/ ? $_ : ""; print "? " }`;
  const open = () =>
    createSession(
      () => openProgram("perl", ["-e", program], "bytes"),
      () => "",
      { greeting: { text: "version\nversion\n", mark: /v[\d.]+/ }, prompting },
    );

  test("answers request after request, and neither prompts nor what pushes an answer out are part of any", async () => {
    const session = open();
    for (const [times, line] of [
      [0, "a"],
      [1, "a"],
      [0, "b"],
      [1, "x? v1.2"],
      [1, "x|? y"],
      [1, "x|v1.2"],
      [3, "a? b ? c"],
      [40_000, "add x"],
      [1, ""],
      [0, ""],
    ] as const) {
      const answer = await session.ask(`version\n${times} ${line}\nversion\n`, /v[\d.]+/);
      assert.deepEqual(
        answer,
        { answered: true, output: `${line.replace("|", "\n")}\n`.repeat(times), errors: "" },
        `${times} × ${line}`,
      );
    }
    // Whatever the place in a block at which an answer ends.
    for (let length = blockSize - 20; length < blockSize + 20; length += 1) {
      const answer = await session.ask(`version\n1 ${"y".repeat(length)}\nversion\n`, /v[\d.]+/);
      assert.ok(answer.answered && answer.output === `${"y".repeat(length)}\n`, `${length}`);
    }
  });

  test("answers also where the prompt before an answer has come with the one before", async () => {
    const session = open();
    const [version, flush] = ["v1.2\n? ".length, `${prompting.flush}? `.length];
    let said = "? ".length + 2 * version + flush;
    for (const beyond of [-3, -2, -1, 0, 1, 2, 3]) {
      const without = said + 2 * version + "\n? ".length + flush;
      const length = 2 * blockSize - ((without - beyond) % blockSize);
      const answer = await session.ask(`version\n1 ${"y".repeat(length)}\nversion\n`, /v[\d.]+/);
      assert.ok(answer.answered && answer.output === `${"y".repeat(length)}\n`, `${beyond}`);
      said = without + length;
      assert.equal(((said + 3) % blockSize) - 3, beyond);
    }
  });

  test("and ends instead tells all that it said", async () => {
    const session = open();
    const answer = await session.ask("version\n2 a\nend\nversion\n", /v[\d.]+/);
    assert.ok(!answer.answered);
    assert.deepEqual([answer.end.exitCode, answer.end.stdout.endsWith("? a\na\n? ")], [0, true]);
  });
});
