// Facts of connlimit that "never rewrite a rule that did not change" rests on: who counts what, and when it is forgotten (kernel.md › connlimit).
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { eventually } from "../../support/eventually.ts";
import { type FamilyAddresses, flush, forBackendsAndFamilies, iptables, restore, save } from "../../support/kernel.ts";
import { shareTraffic } from "../../support/traffic.ts";

const limit = (port: number, { family }: FamilyAddresses, above = 2) =>
  `-p tcp --syn --dport ${port} -m connlimit --connlimit-above ${above} --connlimit-mask ${family === 4 ? 32 : 64} --connlimit-saddr`;
const reset = "-j REJECT --reject-with tcp-reset";

forBackendsAndFamilies((backend, family) => {
  const { source } = family;
  const shared = shareTraffic(8001, 8002);
  afterEach(async () => {
    const { network, traffic } = shared();
    await flush(network, backend, family.family);
    await traffic.close((await traffic.client.state()).open);
  });

  /** Source 1 holds two connections to port 8001, which is its limit. */
  const atTheLimit = async (rules: readonly string[]): Promise<void> => {
    const { network, traffic } = shared();
    await restore(network, backend, family.family, rules);
    await traffic.hold(source(1), 8001, 2);
    assert.equal(await traffic.knock(source(1), 8001), "refused");
  };

  test("each source has its own count, in IPv6 each /64, and a closed connection no longer counts", async () => {
    const { traffic } = shared();
    await atTheLimit([`-A INPUT ${limit(8001, family)} ${reset}`]);
    assert.equal(await traffic.knock(source(2), 8001), "connected");
    if (family.family === 6) assert.equal(await traffic.knock(source(1).replace("::5", "::6"), 8001), "refused");

    const [third] = await traffic.hold(source(3), 8001, 2);
    assert.ok(third !== undefined);
    assert.equal(await traffic.knock(source(3), 8001), "refused");
    await traffic.close([third]);
    // Closed connections are swept out at most once per jiffy.
    await eventually("there is room for one more", async () => (await traffic.knock(source(3), 8001)) === "connected");
  });

  test("writing the same rule anew forgets the connections that it had counted", async () => {
    const { network, traffic } = shared();
    const rule = `${limit(8001, family)} ${reset}`;
    await atTheLimit([`-A INPUT ${rule}`]);
    await restore(network, backend, family.family, [`-R INPUT 1 ${rule}`]);
    await traffic.hold(source(1), 8001, 2);
    assert.equal(await traffic.knock(source(1), 8001), "refused");
  });

  test("a change to another rule of the same chain keeps the count on nft and forgets it on legacy", async () => {
    const { network, traffic } = shared();
    const afterChange = backend === "nft" ? "refused" : "connected";
    const other = `${limit(8002, family)} ${reset}`;
    await atTheLimit([`-A INPUT ${other}`, `-A INPUT ${limit(8001, family)} ${reset}`, "-A INPUT -p tcp --dport 8003 -j DROP"]);
    const changes = [
      `-R INPUT 1 ${limit(8002, family, 7)} ${reset}`,
      "-I INPUT 1 -p tcp --dport 8004 -j DROP",
      "-D INPUT 1",
      "-A INPUT -p tcp --dport 8005 -j DROP",
      "-D INPUT -p tcp --dport 8003 -j DROP",
      "-A OUTPUT -p tcp --dport 8006 -j DROP",
    ];
    for (const [index, change] of changes.entries()) {
      const from = source(10 + index);
      await traffic.hold(from, 8001, 2);
      assert.equal(await traffic.knock(from, 8001), "refused", `before ${change}`);
      await restore(network, backend, family.family, [change]);
      assert.equal(await traffic.knock(from, 8001), afterChange, `after ${change}`);
    }
  });

  test("reading the rules and a transaction that changes nothing keep the count", async () => {
    const { network, traffic } = shared();
    await atTheLimit([`-A INPUT ${limit(8001, family)} ${reset}`]);
    await save(network, backend, family.family, { counters: true });
    await iptables(network, backend, family.family, "-S");
    await restore(network, backend, family.family, []);
    assert.equal(await traffic.knock(source(1), 8001), "refused");
  });

  test("a rule whose action is another chain keeps its count on nft while only that chain changes", async () => {
    const { network, traffic } = shared();
    await atTheLimit([":CLD-EXCESS - [0:0]", `-A INPUT ${limit(8001, family)} -g CLD-EXCESS`, `-A CLD-EXCESS -p tcp ${reset}`]);
    await restore(network, backend, family.family, ["-F CLD-EXCESS", "-A CLD-EXCESS -p tcp -m comment --comment new -j DROP"]);
    assert.equal(await traffic.knock(source(1), 8001, 200), backend === "nft" ? "timeout" : "connected");
  });

  for (const { match, title, counted } of [
    {
      match: "--syn",
      title: "a new rule that looks at the first packet counts none of the connections that are open already",
      counted: 0,
    },
    { match: "", title: "a new rule that looks at every packet counts one of the connections that are open already", counted: 1 },
  ]) {
    test(title, async () => {
      const { network, traffic } = shared();
      // Something that needs conntrack, so that the connections are known to it from their start.
      await restore(network, backend, family.family, ["-A INPUT -m conntrack --ctstate INVALID -j DROP"]);
      const held = await traffic.hold(source(1), 8001, 5);

      await restore(network, backend, family.family, [`-A INPUT ${limit(8001, family).replace("--syn", match)} ${reset}`]);
      for (const connection of held) assert.equal(await traffic.send(connection), "echoed");
      await traffic.hold(source(1), 8001, 2 - counted);
      assert.equal(await traffic.knock(source(1), 8001), "refused");
    });
  }

  test("several ports in one rule share one count", async () => {
    const { network, traffic } = shared();
    const rule = limit(8001, family).replace("--dport 8001", "-m multiport --dports 8001,8002");
    await restore(network, backend, family.family, [`-A INPUT ${rule} ${reset}`]);
    await traffic.hold(source(1), 8001);
    await traffic.hold(source(1), 8002);
    assert.equal(await traffic.knock(source(1), 8001), "refused");
    assert.equal(await traffic.knock(source(1), 8002), "refused");
  });
});
