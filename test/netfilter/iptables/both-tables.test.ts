import assert from "node:assert/strict";
import { test } from "node:test";
import { EnforcementDelayed } from "../../../src/domain/ports.ts";
import type { SessionAnswer } from "../../../src/netfilter/command/session.ts";
import { readBoth } from "../../../src/netfilter/iptables/both-tables.ts";
import { createFilterTable } from "../../../src/netfilter/iptables/tables.ts";

const listing: SessionAnswer = { answered: true, output: "-P INPUT ACCEPT\n-A INPUT -j ACCEPT\n", errors: "" };
const hung: SessionAnswer = { answered: false, end: { exitCode: null, stdout: "", stderr: "", failure: "hung" } };

/** Tables whose sessions send a question when they are told to, and answer when they are told to; with what happened, in order. */
function tables(answer: SessionAnswer) {
  const events: string[] = [];
  const [mayAsk, mayAnswer] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const tableOf = (family: 4 | 6) =>
    createFilterTable(
      family,
      "nft",
      async (file) => {
        events.push(file);
        await mayAnswer.promise;
        return { exitCode: 1, stdout: "", stderr: "it is broken" };
      },
      {
        open: () => ({
          ask: async (_text, _mark, manner) => {
            await mayAsk.promise;
            events.push(`IPv${family} sent`);
            manner?.onSent?.();
            if (answer.answered) await mayAnswer.promise;
            return answer;
          },
          prepare: () => {},
          discard: () => {},
        }),
        lockHeld: async () => false,
      },
    );
  const reading = readBoth({ 4: tableOf(4), 6: tableOf(6) }, null);
  void reading.asked.then(() => events.push("asked"));
  void reading.tables.then(
    () => events.push("read"),
    () => events.push("failed"),
  );
  const settled = () => Promise.allSettled([reading.tables]).then(() => reading.asked);
  return { events, reading, ask: mayAsk.resolve, answer: mayAnswer.resolve, settled };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("both tables are asked when both questions are sent, which is before they are answered", async () => {
  const { events, reading, ask, answer, settled } = tables(listing);
  await turn();
  assert.deepEqual(events, []);
  ask();
  await turn();
  assert.deepEqual(events, ["IPv4 sent", "IPv6 sent", "asked"]);
  answer();
  await settled();
  assert.deepEqual((await reading.tables)[6].input, ["-j ACCEPT"]);
  await turn();
  assert.deepEqual(events.slice(3), ["read"]);
});

test("where the sessions fail, both are asked nevertheless, and so they are where programs fail", async () => {
  const { events, reading, ask, answer, settled } = tables(hung);
  ask();
  await turn();
  answer();
  await settled();
  await turn();
  await assert.rejects(reading.tables, EnforcementDelayed);
  assert.ok(events.includes("asked"), events.join());
  assert.ok(events.indexOf("asked") < events.indexOf("failed"), events.join());
});
