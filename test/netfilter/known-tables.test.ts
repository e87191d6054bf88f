// What a change of one policy reads when the tables are known from the pass before: the chains that change, and the way to them.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { samplePolicy } from "../support/samples.ts";
import { createHost, desire } from "./host.ts";
import { classicBan } from "./some-policies.ts";

const mysql = samplePolicy({ ban: classicBan });
const web = samplePolicy({ name: "web", ports: [80, 443], maxConnections: 20 });
const wider = { ...mysql, maxConnections: 3, revision: 2 };
const edited = desire([wider, web]);

type Host = ReturnType<typeof createHost>;

/** A host with the two policies, whose service knows its tables. */
async function withTwoPolicies(options: Parameters<typeof createHost>[0] = {}): Promise<Host> {
  const host = createHost({ withSessions: true, ...options });
  // It has seen in what words iptables prints them when it has found them.
  for (let pass = 0; pass < 2; pass += 1) await host.firewall.converge(desire([mysql, web]));
  host.listed.length = 0;
  return host;
}

/** What is read for a change of mysql: its chains, those that lead to it, and those that are nobody's in particular. */
const ofMysql = ["INPUT", "CLD-INPUT", "CLD-REFUSE", "CLD-CANARY", "CLD-NEW", "CLD-P-mysql", "CLD-O-mysql"];

function read(host: Host): readonly string[] {
  return [...new Set(host.listed)].filter((question) => !/^-S CLD-(B|HOST)/.test(question)).sort();
}

const questions = ofMysql.map((chain) => `-S ${chain}`).sort();

describe("a change of one policy", () => {
  let host: Host;
  beforeEach(async () => {
    host = await withTwoPolicies();
  });

  const rules = () => [host.rules(4), host.rules(6)];

  /** The rules that a service makes which reads everything. */
  const rulesFor = async (desired: typeof edited) => {
    const other = createHost();
    await other.firewall.converge(desired);
    return [other.rules(4), other.rules(6)].map((chains) => new Map(chains));
  };

  test("reads the chains that it changes and those that lead to them, and writes as if it had read all", async () => {
    const { writes, found } = await host.firewall.converge(edited, "changes");
    assert.deepEqual([writes > 0, found], [true, []]);
    assert.deepEqual(read(host), questions);
    assert.deepEqual(
      rules().map((chains) => new Map(chains)),
      await rulesFor(edited),
    );
  });

  test("is checked by reading those", async () => {
    await host.firewall.check(edited);
    assert.deepEqual(read(host), questions);
  });

  test("that changes no rule reads them too", async () => {
    const { writes } = await host.firewall.converge(desire([{ ...mysql, description: "words", revision: 2 }, web]), "changes");
    assert.deepEqual([writes, read(host)], [0, questions]);
  });

  for (const [what, line] of [
    ["flushes its chain", "-F CLD-P-mysql"],
    ["puts a rule in front of the jump", "-I INPUT 1 -j ACCEPT"],
    ["empties the chain that all enter", "-F CLD-INPUT"],
    ["takes the way to it out", "-F CLD-NEW"],
    ["takes out what happens above its limit", "-F CLD-O-mysql"],
    ["takes out the refusal of operators' bans", "-F CLD-REFUSE"],
  ] as const) {
    test(`finds what somebody did who ${what}, and puts all of it right`, async () => {
      host.kernel.edit(4, line, "-F CLD-O-web");
      await host.firewall.converge(edited, "changes");
      assert.ok(host.listed.includes("-S"));
      const ours = rules().map((chains) => new Map(chains.filter(([chain]) => chain.startsWith("CLD-"))));
      const wanted = (await rulesFor(edited)).map((chains) => new Map([...chains].filter(([chain]) => chain.startsWith("CLD-"))));
      assert.deepEqual(ours, wanted);
      assert.match(host.rules(4).find(([chain]) => chain === "INPUT")?.[1][0] ?? "", /-j CLD-INPUT$/);
    });
  }

  test("of a description finds that the jump is gone", async () => {
    const jump = host.rules(4).find(([chain]) => chain === "INPUT")?.[1][0];
    host.kernel.edit(4, `-D INPUT ${jump}`);
    await host.firewall.converge(desire([{ ...mysql, description: "words", revision: 2 }, web]), "changes");
    assert.equal(host.rules(4).find(([chain]) => chain === "INPUT")?.[1][0], jump);
  });

  test("finds that its chain is gone", async () => {
    host.kernel.edit(6, "-F CLD-NEW", "-F CLD-P-mysql", "-X CLD-P-mysql");
    await host.firewall.converge(edited, "changes");
    assert.deepEqual(
      rules().map((chains) => new Map(chains)),
      await rulesFor(edited),
    );
  });

  test("leaves what somebody did elsewhere to the next look, which reads everything", async () => {
    host.kernel.edit(4, "-F CLD-O-web");
    await host.firewall.converge(edited, "changes");
    assert.deepEqual(host.rules(4).find(([chain]) => chain === "CLD-O-web")?.[1], []);
    const { found } = await host.firewall.converge(edited);
    assert.deepEqual(found, ["IPv4: chain CLD-O-web differs in 2 rules"]);
    assert.deepEqual(
      rules().map((chains) => new Map(chains)),
      await rulesFor(edited),
    );
  });

  test("is not refused because somebody's rule leads to a chain that goes", async () => {
    host.kernel.edit(4, "-A FORWARD -j CLD-O-mysql");
    await host.firewall.converge(desire([web]), "changes");
    assert.deepEqual(host.rules(4).find(([chain]) => chain === "CLD-O-mysql")?.[1], []);
    assert.equal(
      host.rules(6).some(([chain]) => chain === "CLD-O-mysql"),
      false,
    );
  });

  test("is checked against the tables as they are when it does not fit those that are known", async () => {
    host.kernel.edit(4, "-F CLD-NEW", "-F CLD-P-mysql", "-X CLD-P-mysql");
    await host.firewall.check(edited);
    assert.ok(host.listed.includes("-S"));
  });

  test("that the kernel refuses is refused, after one look at the tables as they are", async () => {
    host.kernel.setFault("refused", 6);
    await assert.rejects(host.firewall.check(edited), { code: "kernel-refused" });
    assert.equal(host.listed.filter((question) => question === "-S").length, 2);
    host.listed.length = 0;
    await assert.rejects(host.firewall.converge(edited, "changes"), { code: "kernel-refused" });
    assert.equal(host.listed.filter((question) => question === "-S").length, 2);
  });

  test("that the kernel refuses where somebody changed the tables is tried once more, not twice", async () => {
    host.kernel.edit(4, "-F CLD-NEW");
    host.kernel.setFault("refused", 6);
    await assert.rejects(host.firewall.converge(edited, "changes"), { code: "kernel-refused" });
    assert.equal(host.listed.filter((question) => question === "-S").length, 2);
  });

  test("reads everything after a pass that failed", async () => {
    host.kernel.setFault("refused");
    await assert.rejects(host.firewall.converge(edited));
    host.kernel.setFault(null);
    host.listed.length = 0;
    await host.firewall.converge(edited, "changes");
    assert.deepEqual(host.listed.slice(0, 2), ["-S", "-S"]);
  });

  test("reads everything at once when a flush was seen", async () => {
    host.flush();
    await host.firewall.converge(edited, "changes");
    assert.deepEqual(host.listed.slice(0, 2), ["-S", "-S"]);
    assert.deepEqual(
      rules().map((chains) => new Map(chains)),
      await rulesFor(edited),
    );
  });
});

test("where iptables prints rules in other words, everything is read", async () => {
  const host = createHost({ withSessions: true });
  host.kernel.setFault("save uses other words");
  for (let pass = 0; pass < 2; pass += 1) await host.firewall.converge(desire([mysql, web]));
  host.listed.length = 0;
  await host.firewall.converge(edited, "changes");
  assert.deepEqual(host.listed.slice(0, 2), ["-S", "-S"]);
});

test("many changes at once read everything", async () => {
  const host = await withTwoPolicies();
  const many = Array.from({ length: 70 }, (_, n) => samplePolicy({ name: `p${n}`, ports: [n + 1] }));
  await host.firewall.converge(desire(many), "changes");
  host.listed.length = 0;
  await host.firewall.converge(desire(many.map((policy) => ({ ...policy, maxConnections: 9, revision: 2 }))), "changes");
  assert.ok(host.listed.includes("-S"));
});

test("on the legacy backend, a second change in a row is told to have ended the counts", async () => {
  const host = await withTwoPolicies({ backend: "legacy" });
  await host.firewall.converge(edited, "changes");
  host.clock.advance(500);
  await host.firewall.converge(desire([mysql, web]), "changes");
  assert.equal(host.firewall.countsForgottenAt(), host.clock.now());
});
