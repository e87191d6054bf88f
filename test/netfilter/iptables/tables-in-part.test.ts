import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SessionAnswer } from "../../../src/netfilter/command/session.ts";
import { parseListedTable } from "../../../src/netfilter/iptables/saved-table.ts";
import { createFilterTable } from "../../../src/netfilter/iptables/tables.ts";

const saved = "*filter\n:INPUT ACCEPT [0:0]\n:CLD-NEW - [0:0]\n-A INPUT -j ACCEPT\nCOMMIT\n";
const before = parseListedTable(
  "-P INPUT ACCEPT\n-N CLD-INPUT\n-N CLD-NEW\n-N CLD-P-web\n-A INPUT -j ACCEPT\n-A CLD-INPUT -j RETURN\n-A CLD-P-web -j DROP\n",
);

/** A table whose session answers this, and what was asked of it and of programs. */
function tableThatSays(answer: SessionAnswer) {
  const asked: string[] = [];
  const table = createFilterTable(
    4,
    "nft",
    async (file) => {
      asked.push(file);
      return { exitCode: 0, stdout: saved, stderr: "" };
    },
    {
      open: () => ({
        ask: async (text) => {
          asked.push(...text.trim().split("\n").slice(1, -2));
          return answer;
        },
        prepare: () => {},
        discard: () => {},
      }),
      lockHeld: () => false,
    },
  );
  return { table, asked };
}

const listed = (...lines: readonly string[]): SessionAnswer => ({ answered: true, output: `${lines.join("\n")}\n`, errors: "" });
const silent: SessionAnswer = { answered: false, end: { exitCode: 1, stdout: "", stderr: "" } };

describe("after a write", () => {
  const lines = [
    "*filter",
    ":CLD-O-web - [0:0]",
    "-A CLD-O-web -j DROP",
    "-I CLD-P-web 1 -j RETURN",
    "-F CLD-NEW",
    "-X CLD-NEW",
    "COMMIT",
  ];

  test("only the chains that it has changed are listed, and the others are as they were", async () => {
    const { table, asked } = tableThatSays(
      listed("-N CLD-O-web", "-A CLD-O-web -j DROP", "-N CLD-P-web", "-A CLD-P-web -j RETURN", "-A CLD-P-web -j DROP"),
    );
    const after = await table.readAfter(before, lines);
    assert.deepEqual(asked, ["-S CLD-O-web", "-S CLD-P-web"]);
    assert.deepEqual(Object.fromEntries(after.own), {
      "CLD-INPUT": ["-j RETURN"],
      "CLD-P-web": ["-j RETURN", "-j DROP"],
      "CLD-O-web": ["-j DROP"],
    });
    assert.deepEqual(after.input, ["-j ACCEPT"]);
  });

  test("to INPUT, its rules are those that are there now", async () => {
    const { table, asked } = tableThatSays(listed("-P INPUT ACCEPT", "-A INPUT -j CLD-INPUT", "-A INPUT -j ACCEPT"));
    const after = await table.readAfter(before, ["*filter", "-I INPUT 1 -j CLD-INPUT", "COMMIT"]);
    assert.deepEqual([asked, after.input], [["-S INPUT"], ["-j CLD-INPUT", "-j ACCEPT"]]);
    assert.deepEqual(after.own, before.own);
  });

  test("that a session does not speak of, the table is saved", async () => {
    const { table, asked } = tableThatSays(silent);
    const after = await table.readAfter(before, ["*filter", "-F CLD-NEW", "COMMIT"]);
    assert.deepEqual(asked, ["-S CLD-NEW", "iptables-nft-save"]);
    assert.deepEqual([...after.own], [["CLD-NEW", []]]);
  });

  test("to many chains, the table is saved", async () => {
    const { table, asked } = tableThatSays(silent);
    await table.readAfter(
      before,
      Array.from({ length: 100 }, (_, n) => `:CLD-P-${n} - [0:0]`),
    );
    assert.deepEqual(asked, ["iptables-nft-save"]);
  });
});

test("a table is listed by a session, and at once by a program of its own", async () => {
  const { table, asked } = tableThatSays(listed("-P INPUT ACCEPT"));
  await table.readAtOnce(() => null);
  await table.read();
  assert.deepEqual(asked, ["iptables-nft-save", "-S"]);
});
