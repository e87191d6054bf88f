// A kernel that counts its changes, as nftables does: what has not changed since it was listed is not listed again.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Policy } from "../../src/domain/policy.ts";
import { eventually } from "../support/eventually.ts";
import { samplePolicy } from "../support/samples.ts";
import { createHost, desire, type HostOptions, type Kept } from "./host.ts";

const policies = Array.from({ length: 120 }, (_, n) => samplePolicy({ name: `p-${n}`, ports: [1000 + n] })).sort((a, b) =>
  a.name < b.name ? -1 : 1,
);
const few = policies.slice(0, 3);

type Host = ReturnType<typeof createHost>;

/** A host whose service has seen that the kernel has these policies. */
async function seenHost(some: readonly Policy[], options: HostOptions = {}): Promise<Host> {
  const host = createHost({ withSessions: true, ...options });
  for (let pass = 0; pass < 3; pass += 1) await host.firewall.converge(desire(some));
  host.listed.length = 0;
  return host;
}

/** What was asked for since the last time. */
const listedBy = (host: Host): readonly string[] => host.listed.splice(0);
const bothTables = ["-S", "-S"];
/** That iptables is still able to. */
const oneChain = ["-S INPUT", "-S INPUT"];

describe("a look", () => {
  test("lists one chain of each table while the kernel has taken no change", async () => {
    const host = await seenHost(few, { counted: {} });
    for (let look = 0; look < 3; look += 1) {
      const { writes, found } = await host.firewall.converge(desire(few));
      assert.deepEqual([writes, found, listedBy(host)], [0, [], oneChain]);
    }
    assert.equal((await host.firewall.position()).inPlace, true);
  });

  test("lists both tables after any change, and puts right what it finds", async () => {
    const host = await seenHost(few, { counted: {} });
    host.kernel.edit(6, "-F CLD-P-p-1");
    assert.deepEqual((await host.firewall.converge(desire(few))).found, ["IPv6: chain CLD-P-p-1 differs in 1 rule"]);
    assert.deepEqual(listedBy(host).slice(0, 2), bothTables);
    host.kernel.edit(4, "-A INPUT -p udp -j ACCEPT");
    assert.deepEqual((await host.firewall.converge(desire(few))).found, []);
    assert.deepEqual(listedBy(host), bothTables);
    await host.firewall.converge(desire(few));
    assert.deepEqual(listedBy(host), oneChain);
  });

  for (const [fault, reason] of [
    ["program missing", /the program iptables-nft-save is missing/],
    ["save fails", /fails/],
    ["save prints an error and exits with 0", /can't be read/],
  ] as const)
    test(`tells that iptables does not work (${fault}) although nothing has changed`, async () => {
      const host = await seenHost(few, { counted: {} });
      host.kernel.setFault(fault, 4);
      await assert.rejects(host.firewall.converge(desire(few)), reason);
      host.kernel.setFault(null);
      assert.deepEqual((await host.firewall.converge(desire(few))).found, []);
    });

  test("lists them after a change of this service's own, once", async () => {
    const host = await seenHost(few, { counted: {} });
    const wider = few.map((policy) => ({ ...policy, maxConnections: 9, revision: 2 }));
    await host.firewall.converge(desire(wider), "changes");
    listedBy(host);
    await host.firewall.converge(desire(wider));
    assert.deepEqual(listedBy(host), bothTables);
    await host.firewall.converge(desire(wider));
    assert.deepEqual(listedBy(host), oneChain);
  });

  test("lists them again when a change came while they were listed", async () => {
    const host = await seenHost(few, { counted: {} });
    host.kernel.edit(4, "-A INPUT -p udp -j ACCEPT");
    host.kernel.afterNextSave(() => host.kernel.edit(4, "-F CLD-P-p-1"));
    assert.deepEqual((await host.firewall.converge(desire(few))).found, []);
    assert.deepEqual((await host.firewall.converge(desire(few))).found, ["IPv4: chain CLD-P-p-1 differs in 1 rule"]);
  });

  test("lists them once a minute all the same", async () => {
    const host = await seenHost(few, { counted: {} });
    const { generation } = host.kernel;
    const before = generation();
    host.kernel.edit(4, "-F CLD-P-p-1");
    Object.assign(host.kernel, { generation: () => (generation() === before + 1 ? before : generation()) });
    host.clock.advance(50_000);
    assert.deepEqual((await host.firewall.converge(desire(few))).found, []);
    host.clock.advance(10_000);
    assert.deepEqual((await host.firewall.converge(desire(few))).found, ["IPv4: chain CLD-P-p-1 differs in 1 rule"]);
  });

  test("lists them each time where nobody knows how many changes there were", async () => {
    const host = await seenHost(few);
    await host.firewall.converge(desire(few));
    assert.deepEqual(listedBy(host), bothTables);
  });
});

describe("a start", () => {
  /** A host that has many policies, and whose service was stopped. */
  async function stoppedHost(some: readonly Policy[] = policies, before: (host: Host) => void = () => undefined) {
    const [kept, counted]: [Kept, { text?: string }] = [{}, {}];
    const host = createHost({ withSessions: true, kept, counted });
    before(host);
    await host.firewall.converge(desire(some));
    await host.firewall.leave();
    listedBy(host);
    return { host, counted, kept };
  }

  test("lists nothing where the kernel has taken no change since the stop, and the look after it lists everything", async () => {
    const { host } = await stoppedHost();
    const next = host.restarted();
    await next.prepare();
    const { writes, found } = await next.converge(desire(policies));
    assert.deepEqual([writes, found, listedBy(host)], [0, [], []]);
    assert.deepEqual((await next.converge(desire(policies))).found, []);
    assert.deepEqual(listedBy(host), bothTables);
  });

  test("after a kill as well, once nothing has changed for half a minute", async () => {
    const { host, counted } = await stoppedHost();
    delete counted.text;
    const next = host.restarted();
    for (let look = 0; look < 3; look += 1) await next.converge(desire(policies));
    assert.equal(counted.text, undefined);
    host.clock.advance(30_000);
    await next.converge(desire(policies));
    await eventually("it is kept", () => counted.text !== undefined, { every: 1 });
    listedBy(host);
    await host.restarted().converge(desire(policies));
    assert.deepEqual(listedBy(host), []);
  });

  test("makes of changed policies what it makes of them without any memory", async () => {
    const { host } = await stoppedHost();
    const wider = policies.map((policy) => (policy.name === "p-7" ? { ...policy, maxConnections: 9, revision: 2 } : policy));
    await host.restarted().converge(desire(wider));
    const other = createHost();
    await other.firewall.converge(desire(wider));
    for (const family of [4, 6] as const) assert.deepEqual(new Map(host.rules(family)), new Map(other.rules(family)));
  });

  test("lists everything after a change by anybody", async () => {
    const { host } = await stoppedHost();
    host.kernel.edit(4, "-F CLD-P-p-7");
    await host.restarted().converge(desire(policies));
    assert.deepEqual(listedBy(host).slice(0, 2), bothTables);
    assert.equal(host.rules(4).find(([chain]) => chain === "CLD-P-p-7")?.[1].length, 1);
  });

  for (const composed of [true, false])
    test(`believes what was kept for its first pass alone${composed ? "" : ", also where it has to compose all rules"}`, async () => {
      const { host, kept } = await stoppedHost();
      if (!composed) delete kept.text;
      const { generation } = host.kernel;
      const before = generation();
      host.kernel.edit(4, "-F CLD-P-p-7");
      // Somebody else's kernel, say, that has taken as many changes.
      Object.assign(host.kernel, { generation: () => (generation() === before + 1 ? before : generation()) });
      const next = host.restarted();
      assert.equal((await next.converge(desire(policies))).writes, 0);
      assert.deepEqual((await next.converge(desire(policies))).found, ["IPv4: chain CLD-P-p-7 differs in 1 rule"]);
    });

  test("keeps nothing of few policies, or where somebody's rule has other characters than ASCII's", async () => {
    assert.equal((await stoppedHost(few)).counted.text, undefined);
    const umlaut = (host: Host) => host.kernel.edit(4, '-A INPUT -m comment --comment "für alle" -j ACCEPT');
    assert.equal((await stoppedHost(policies, umlaut)).counted.text, undefined);
  });

  test("keeps nothing of a kernel that it has changed since", async () => {
    const { host, counted } = await stoppedHost();
    assert.notEqual(counted.text, undefined);
    const next = host.restarted();
    await next.converge(desire(policies));
    await next.converge(desire(policies.slice(1)), "changes");
    await eventually("it is gone", () => counted.text === undefined, { every: 1 });
  });
});
