import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { beforeEach, describe, test } from "node:test";
import fc from "fast-check";
import { type ComposedRulesOptions, createComposedRules } from "../../src/netfilter/composed-rules.ts";
import { chainsText } from "../../src/netfilter/iptables/standing-chains.ts";
import { samplePolicy } from "../support/samples.ts";
import { createTestClock } from "../support/test-clock.ts";
import { classicBan, somePolicies } from "./some-policies.ts";

const mysql = samplePolicy({ ban: classicBan });
const web = samplePolicy({ name: "web", ports: [80, 443] });
const shelved = samplePolicy({ name: "shelved", mode: "off" });
const policies = [mysql, web, shelved];

describe("composed rules", () => {
  const clock = createTestClock();
  let text: string | undefined;
  let writes = 0;
  const start = (different: Partial<ComposedRulesOptions> = {}) =>
    createComposedRules({
      file: {
        read: () => text,
        write: async (next) => {
          writes += 1;
          text = next;
        },
      },
      madeBy: "this",
      backend: "nft",
      clock,
      onFailure: (error) => assert.fail(String(error)),
      ...different,
    });

  beforeEach(() => {
    text = undefined;
    writes = 0;
  });

  test("are not known at first", () => {
    assert.equal(start().known(policies), null);
  });

  test("are known to the next start, but for those of policies that are off", async () => {
    await start().keep(policies);
    assert.deepEqual(start().known(policies), {
      texts: { 4: chainsText([mysql, web], 4), 6: chainsText([mysql, web], 6) },
      current: new Set(["mysql", "web"]),
    });
  });

  test("come back as they were, whatever the policies", async () => {
    await fc.assert(
      fc.asyncProperty(somePolicies(6), async (some) => {
        await start().keep(some);
        const active = some.filter(({ mode }) => mode !== "off");
        assert.deepEqual(start().known(some)?.texts, { 4: chainsText(active, 4), 6: chainsText(active, 6) });
      }),
      { numRuns: 50 },
    );
  });

  test("are those of a policy only where they would be composed the same now", async () => {
    await fc.assert(
      fc.asyncProperty(somePolicies(4), somePolicies(4), async (before, after) => {
        await start().keep(before);
        const current = start().known(after)?.current ?? new Set();
        const [then, now] = [before, after].map((all) => all.filter(({ name }) => current.has(name)));
        for (const family of [4, 6] as const) assert.deepEqual(chainsText(then ?? [], family), chainsText(now ?? [], family));
      }),
      { numRuns: 300 },
    );
  });

  for (const [what, change] of [
    ["ports", { ports: [3307] }],
    ["limit", { maxConnections: 3 }],
    ["way of counting", { countPer: { ipv4Prefix: 24, ipv6Prefix: 64 } }],
    ["way of counting over IPv6", { countPer: { ipv4Prefix: 32, ipv6Prefix: 48 } }],
    ["ban", { ban: { ...classicBan, seconds: 61 } }],
    ["way to refuse", { rejectWith: "drop" }],
    ["exemptions", { exempt: ["10.0.0.0/8"] }],
    ["mode", { mode: "observe" }],
    ["being off", { mode: "off" }],
  ] as const) {
    test(`are not those of a policy of another ${what}`, async () => {
      await start().keep(policies);
      assert.deepEqual(start().known([{ ...mysql, ...change }, web])?.current, new Set(["web"]));
    });
  }

  test("are those of a policy of another description", async () => {
    await start().keep(policies);
    const described = { ...mysql, description: "words", revision: 2, updatedAt: mysql.updatedAt + 1 };
    assert.deepEqual(start().known([described, web])?.current, new Set(["mysql", "web"]));
  });

  test("are of no use to other code and for another backend", async () => {
    await start().keep(policies);
    assert.equal(start({ madeBy: "that" }).known(policies), null);
    assert.equal(start({ backend: "legacy" }).known(policies), null);
  });

  test("are of no use where the text is not whole, or another one", async () => {
    await start().keep(policies);
    const whole = text ?? assert.fail("nothing was kept");
    const damaged = ["", "x", whole.slice(0, -1), `${whole}\n`, whole.replace("CLD-P-web", "CLD-P-wub"), whole.slice(41)];
    for (const one of damaged) {
      text = one;
      assert.equal(start().known(policies), null, one.slice(0, 60));
    }
  });

  test("are of no use where the text is whole but of another form, as other code may write it", () => {
    for (const heading of ["{", "{}", '{"made":"this nft"}', '{"made":"this nft","policies":[["a","b"]],"ends":{"4":[1]}}']) {
      const other = `${heading}\n-A CLD-O-a\n`;
      text = `${hash("sha1", other)}\n${other}`;
      assert.equal(start().known(policies), null, heading);
    }
  });

  test("that can't be kept are said to be so once, until they can", async () => {
    const told: string[] = [];
    let broken = true;
    const file = {
      read: () => undefined,
      write: async () => {
        if (broken) throw new Error("no room");
      },
    };
    const composed = start({ file, onFailure: (error) => told.push(String(error)) });
    for (const [some, isBroken] of [
      [policies, true],
      [[web], true],
      [policies, false],
      [[web], true],
    ] as const) {
      broken = isBroken;
      await composed.keep(some);
      clock.advance(30_000);
    }
    assert.deepEqual(told, ["Error: no room", "Error: no room"]);
  });

  test("are kept again when there are other policies, but not more often than every half minute", async () => {
    const composed = start();
    await composed.keep(policies);
    await composed.keep([web]);
    assert.equal(writes, 1);
    clock.advance(30_000);
    await composed.keep(policies);
    assert.equal(writes, 1);
    await composed.keep([web]);
    assert.equal(writes, 2);
    assert.deepEqual(start().known(policies)?.current, new Set(["web"]));
  });

  test("are kept at the end as they were last, once what is being written is", async () => {
    const composed = start();
    const first = composed.keep(policies);
    await composed.keep([web]);
    await composed.finish();
    await first;
    assert.equal(writes, 2);
    assert.deepEqual(start().known(policies)?.current, new Set(["web"]));
    await composed.finish();
    await start().finish();
    assert.equal(writes, 2);
  });

  test("are not written by a start that finds nothing new", async () => {
    await start().keep(policies);
    const [next, other] = [start(), start()];
    next.known(policies);
    await next.keep(policies);
    assert.equal(writes, 1);
    const fewer = [mysql, shelved];
    other.known(fewer);
    await other.keep(fewer);
    assert.equal(writes, 2);
  });
});
