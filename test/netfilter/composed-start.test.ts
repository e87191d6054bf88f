// Starts that find the rules of the start before, composed and in the kernel.
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe, test } from "node:test";
import type { Policy } from "../../src/domain/policy.ts";
import { eventually } from "../support/eventually.ts";
import { samplePolicy } from "../support/samples.ts";
import { createHost, desire, type HostOptions, type Kept } from "./host.ts";
import { classicBan } from "./some-policies.ts";

const policies = Array.from({ length: 120 }, (_, n) =>
  samplePolicy({ name: `p-${n}`, ports: [1000 + n], ban: n % 2 === 0 ? classicBan : null }),
).sort((a, b) => (a.name < b.name ? -1 : 1));
const changed = (name: string, change: Partial<Policy>) =>
  policies.map((policy) => (policy.name === name ? { ...policy, ...change, revision: 2 } : policy));

type Host = ReturnType<typeof createHost>;

/** A host that has the policies in the kernel, and what its service has kept of them. */
async function runningHost(options: HostOptions = {}): Promise<Host> {
  const host = createHost(options);
  await host.firewall.converge(desire(policies));
  const { kept } = options;
  if (kept) await eventually("the rules are kept", () => kept.text !== undefined, { within: 5000, every: 1 });
  return host;
}

/** Two of them that somebody has done the same to, and whose services have started again; the first of them knows its rules from before. */
async function restarted(
  happens: (host: Host) => void,
  after: readonly Policy[],
  { withSessions = true, isBegun = false } = {},
): Promise<readonly Host[]> {
  const kept: Kept = {};
  const hosts = [await runningHost({ kept, withSessions }), await runningHost({ withSessions })];
  for (const host of hosts) {
    happens(host);
    const next = host.restarted();
    if (isBegun) await next.prepare();
    await next.converge(desire(after));
  }
  if (after.length > 0) assert.ok((kept.found ?? 0) >= 118, `${kept.found} were known`);
  return hosts;
}

const rulesOf = (host: Host) => ([4, 6] as const).map((family) => new Map(host.rules(family)));

test("a start that finds all as it should be writes nothing, then and in the look after it", async () => {
  const host = await runningHost({ kept: {} });
  const next = host.restarted();
  for (let pass = 0; pass < 2; pass += 1) {
    const { writes, found } = await next.converge(desire(policies));
    assert.deepEqual([writes, found], [0, []]);
    assert.equal((await next.position()).inPlace, true);
  }
});

test("a start goes by lists that it began before anything else, and the look after it sees what has happened since", async () => {
  const host = await runningHost({ kept: {}, withSessions: true });
  host.listed.length = 0;
  const next = host.restarted();
  await next.prepare();
  host.kernel.edit(4, "-F CLD-P-p-7");
  assert.deepEqual([(await next.converge(desire(policies))).writes, host.listed], [0, []]);
  assert.deepEqual((await next.converge(desire(policies))).found, ["IPv4: chain CLD-P-p-7 differs in 1 rule"]);
});

test("a start prepares programs that write when it finds something to write, and none when all is as it knows it", async () => {
  const writers = ["ip6tables-nft-restore", "ipset", "iptables-nft-restore"];
  for (const [edits, expected] of [
    [[], []],
    [["-F CLD-P-p-7"], writers],
  ] as const) {
    const host = await runningHost({ kept: {}, withSessions: true });
    if (edits.length > 0) host.kernel.edit(4, ...edits);
    host.prepared.length = 0;
    const next = host.restarted();
    await next.prepare();
    await next.converge(desire(policies));
    assert.deepEqual([...new Set(host.prepared)].sort(), expected);
  }
});

describe("a start after this has the rules that it has without any memory:", () => {
  const jump = '-m comment --comment "cld:832683cb538b" -j CLD-INPUT';
  for (const [what, lines, after] of [
    ["a policy was changed", [], changed("p-7", { maxConnections: 9 })],
    ["a policy has other ports", [], changed("p-7", { ports: [80, 1008] })],
    ["a policy was shelved", [], changed("p-7", { mode: "off" })],
    ["a policy was deleted", [], policies.slice(1)],
    ["policies were made", [], [...policies, samplePolicy({ name: "web", ports: [443, 1000] })]],
    ["all were deleted", [], []],
    ["a chain was flushed", ["-F CLD-P-p-7"], policies],
    ["a chain was flushed and its policy deleted", ["-F CLD-P-p-0"], policies.slice(1)],
    ["a chain was flushed and its policy changed", ["-F CLD-O-p-7"], changed("p-7", { maxConnections: 9 })],
    ["a rule was put in front of a limit", ["-I CLD-P-p-7 1 -j RETURN"], policies],
    ["a rule was put behind a limit", ["-A CLD-P-p-7 -j RETURN"], policies],
    ["the way to the policies was cut", ["-F CLD-NEW"], policies],
    ["the jump was moved", [`-D INPUT ${jump}`, "-A INPUT -p udp -j ACCEPT", `-A INPUT ${jump}`], policies],
    ["a chain of nobody was made", [":CLD-P-nobody - [0:0]", "-A CLD-P-nobody -j DROP"], policies],
    ["an address was let through by all", ["-I CLD-INPUT 1 -s 192.0.2.1/32 -j RETURN"], policies],
  ] as const) {
    for (const isBegun of [false, true])
      test(isBegun ? `${what}, and both lists were begun before anybody asked` : what, async () => {
        const edit = (each: Host): void => {
          if (lines.length > 0) each.kernel.edit(4, ...lines);
        };
        const [host, other] = await restarted(edit, after, { isBegun });
        assert.deepEqual(host && rulesOf(host), other && rulesOf(other));
      });
  }

  for (const [what, happens] of [
    ["everything was flushed", (host: Host) => host.flush()],
    [
      "one family was flushed",
      (host: Host) => {
        const rules = host.rules(6).filter(([chain]) => chain.startsWith("CLD-"));
        const own = rules.map(([chain]) => chain);
        host.kernel.edit(6, "-F INPUT", ...own.map((chain) => `-F ${chain}`), ...own.map((chain) => `-X ${chain}`));
      },
    ],
    ["ipset is gone", (host: Host) => host.ipset.setFault("program missing")],
  ] as const) {
    for (const withSessions of [true, false])
      test(withSessions ? what : `${what}, and each question starts a program`, async () => {
        const [host, other] = await restarted(happens, policies, { withSessions });
        assert.deepEqual(host && rulesOf(host), other && rulesOf(other));
      });
  }
});

test("a pass after one that failed reads and composes everything", async () => {
  const kept: Kept = {};
  const host = await runningHost({ kept });
  host.kernel.edit(4, "-F CLD-P-p-7");
  host.kernel.setFault("restore keeps other rules");
  const next = host.restarted();
  await next.converge(desire(policies)).catch(() => undefined);
  assert.equal(kept.found, policies.length);
  host.kernel.setFault("lock held");
  await assert.rejects(next.converge(desire(policies)), /lock/);
  host.kernel.setFault(null);
  kept.found = -1;
  await next.converge(desire(policies));
  assert.equal(kept.found, -1);
  const other = await runningHost();
  assert.deepEqual(rulesOf(host), rulesOf(other));
});

test("what was kept is trusted by the first pass alone: the next one composes all rules", async () => {
  const kept: Kept = {};
  const host = await runningHost({ kept });
  const right = rulesOf(host);
  const limit = / --connlimit-above \d+ /;
  const wrong = (text: string): string => text.replace(limit, " --connlimit-above 7 ");
  // As code with a fault in it would have left them, in the kernel and in what it kept.
  const [rule = ""] = host.rules(4).find(([chain]) => chain === "CLD-P-p-0")?.[1] ?? [];
  host.kernel.edit(4, "-D CLD-P-p-0 1", `-A CLD-P-p-0 ${wrong(rule)}`);
  const text = kept.text?.slice(41).replace(`-A CLD-P-p-0 ${rule}\n`, `-A CLD-P-p-0 ${wrong(rule)}\n`) ?? "";
  kept.text = `${hash("sha1", text)}\n${text}`;
  const next = host.restarted();
  assert.equal((await next.converge(desire(policies))).writes, 0);
  const { found } = await next.converge(desire(policies));
  assert.deepEqual(found, ["IPv4: chain CLD-P-p-0 differs in 2 rules"]);
  assert.deepEqual(rulesOf(host), right);
});

for (const backend of ["nft", "legacy"] as const)
  test(`into an empty kernel rules are written as they were kept, and the next pass composes them all the same (${backend})`, async () => {
    const kept: Kept = {};
    const host = await runningHost({ kept, backend, withSessions: true });
    const right = rulesOf(host);
    const text = kept.text?.slice(41).replace(/(-A CLD-P-p-7 .*--connlimit-above )\d+ /, "$17 ") ?? "";
    kept.text = `${hash("sha1", text)}\n${text}`;
    host.flush();
    const next = host.restarted();
    const wider = changed("p-8", { maxConnections: 9 });
    const { writes } = await next.converge(desire(wider));
    const added = rulesOf(host).flatMap((table) => [...table].filter(([chain]) => chain.startsWith("CLD-")));
    assert.ok(writes >= added.flatMap(([, rules]) => rules).length + added.length, `${writes} writes`);
    const limitOf = (name: string): string | undefined =>
      /--connlimit-above (\d+)/.exec(
        host
          .rules(4)
          .find(([chain]) => chain === `CLD-P-${name}`)?.[1]
          .join() ?? "",
      )?.[1];
    assert.deepEqual([limitOf("p-7"), limitOf("p-8")], ["7", "9"]);
    const { found } = await next.converge(desire(wider));
    assert.deepEqual(found, ["IPv4: chain CLD-P-p-7 differs in 2 rules"]);
    assert.equal((await next.converge(desire(wider))).writes, 0);
    await next.converge(desire(policies));
    assert.deepEqual(rulesOf(host), right);
  });

test("a kernel that prints some of the kept rules in other words holds them all the same", async () => {
  const kept: Kept = {};
  const host = await runningHost({ kept, withSessions: true });
  host.flush();
  const inOtherWords = (): void => {
    const [, rules = []] = host.rules(4).find(([chain]) => chain === "CLD-O-p-7") ?? [];
    if (rules.length === 0) host.kernel.afterNextRestore(inOtherWords);
    else host.kernel.edit(4, "-F CLD-O-p-7", ...rules.map((rule) => `-A CLD-O-p-7 ${rule.replaceAll(" --rsource", "")}`));
  };
  host.kernel.afterNextRestore(inOtherWords);
  const next = host.restarted();
  assert.deepEqual((await next.converge(desire(policies))).found.length > 0, true);
  assert.doesNotMatch(
    host
      .rules(4)
      .find(([chain]) => chain === "CLD-O-p-7")?.[1]
      .join() ?? "--rsource",
    /--rsource/,
  );
});

test("a kernel that does not take kept rules is told in the first pass, and the next one composes them", async () => {
  const kept: Kept = {};
  const host = await runningHost({ kept });
  const right = rulesOf(host);
  host.flush();
  host.kernel.setFault("restore keeps other rules");
  const next = host.restarted();
  await assert.rejects(next.converge(desire(policies)), /the kernel took the rules but holds others/);
  host.kernel.setFault(null);
  await next.converge(desire(policies));
  assert.deepEqual(rulesOf(host), right);
});

test("programs are at work at the lists of rules before what was kept is read, and before rules are composed", async () => {
  const kept: Kept = {};
  const host = await runningHost({ kept, withSessions: true });
  const text = kept.text ?? "";
  const events: string[] = [];
  Object.defineProperty(kept, "text", {
    get: () => {
      events.push(`after ${host.listed.length - before} questions`);
      return text;
    },
  });
  const before = host.listed.length;
  await host.restarted().converge(desire(policies));
  assert.equal(events[0], "after 2 questions");
});

test("a change after such a start reads the table, and is one of the rules that are there", async () => {
  const host = await runningHost({ kept: {}, withSessions: true });
  const next = host.restarted();
  await next.converge(desire(policies));
  const wider = changed("p-7", { maxConnections: 9 });
  await next.check(desire(wider));
  await next.converge(desire(wider), "changes");
  const other = createHost();
  await other.firewall.converge(desire(wider));
  assert.deepEqual(rulesOf(host), rulesOf(other));
});

test("a start looks for rules on the other backend, after one on the same backend with its second pass", async () => {
  const host = await runningHost({ backend: "legacy", kept: {} });
  const asked = (): boolean => host.kernel.invocations.some(({ file }) => file === "iptables-nft-save");
  assert.equal(asked(), true);
  const { length } = host.kernel.invocations;
  const askedSince = (): boolean => host.kernel.invocations.slice(length).some(({ file }) => file === "iptables-nft-save");
  const next = host.restarted();
  await next.converge(desire(policies));
  assert.equal(askedSince(), false);
  await next.converge(desire(policies));
  assert.equal(askedSince(), true);
});

test("a start on a backend that has none of the rules looks for those on the other one at once", async () => {
  const host = await runningHost({ backend: "legacy", kept: {} });
  host.flush();
  const { length } = host.kernel.invocations;
  await host.restarted().converge(desire(policies));
  assert.ok(host.kernel.invocations.slice(length).some(({ file }) => file === "iptables-nft-save"));
});

describe("whoever could do something meanwhile is told that programs work", () => {
  const waits = async (backend: "nft" | "legacy", some: readonly Policy[]): Promise<number> => {
    let count = 0;
    const onLongWait = () => {
      count += 1;
    };
    await createHost({ backend, withSessions: true, onLongWait }).firewall.converge(desire(some));
    return count;
  };

  test("where a whole table with many rules is replaced", async () => {
    assert.ok((await waits("legacy", policies)) > 0);
  });

  test("not where that takes a moment", async () => {
    assert.deepEqual([await waits("nft", policies), await waits("legacy", policies.slice(0, 5))], [0, 0]);
  });
});
