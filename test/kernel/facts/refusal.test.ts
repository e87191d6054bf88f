// Facts of the refusing rules: what a client sees, what two lists in one rule do, how chains hand a packet on.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { eventually } from "../../support/eventually.ts";
import {
  flush,
  forBackendsAndFamilies,
  listedAddresses,
  readList,
  restore,
  unreachablesSeen,
  writeList,
} from "../../support/kernel.ts";
import { shareTraffic } from "../../support/traffic.ts";

forBackendsAndFamilies((backend, { family, source }) => {
  const check = (list: string, seconds = 60) => `-p tcp -m recent --name ${list} --rsource --rcheck --seconds ${seconds}`;
  const reset = "-j REJECT --reject-with tcp-reset";
  const shared = shareTraffic(8001, 8002, 8003);
  afterEach(() => flush(shared().network, backend, family));

  test("a check that looks at every packet resets the established connections of a listed source, and no others", async () => {
    const { network, traffic } = shared();
    await restore(network, backend, family, [`-A INPUT ${check("facts")} ${reset}`]);
    const [listed] = await traffic.hold(source(1), 8001);
    const [free] = await traffic.hold(source(2), 8001);
    assert.ok(listed !== undefined && free !== undefined);
    assert.equal(await traffic.send(listed), "echoed");

    await writeList(network, "facts", `+${source(1)}\n`);
    assert.equal(await traffic.send(listed), "reset");
    assert.equal(await traffic.send(free), "echoed");
    assert.equal(await traffic.knock(source(1), 8002), "refused");
    await writeList(network, "facts", `-${source(1)}\n`);
    assert.equal(await traffic.knock(source(1), 8002), "connected");
  });

  test("a client sees a reset, an ICMP message or nothing, as the rule says", async () => {
    const { network, traffic } = shared();
    const icmp = family === 4 ? "icmp-port-unreachable" : "icmp6-port-unreachable";
    await restore(network, backend, family, [
      `-A INPUT -p tcp --dport 8001 ${reset}`,
      `-A INPUT -p tcp --dport 8002 -j REJECT --reject-with ${icmp}`,
      "-A INPUT -p tcp --dport 8003 -j DROP",
    ]);
    const before = await unreachablesSeen(network, family);
    assert.equal(await traffic.knock(source(1), 8001), "refused");
    assert.equal(await unreachablesSeen(network, family), before);
    // An ICMP message that arrives while connect(2) still runs is not looked at; the answer to the next SYN, a second later, is.
    assert.equal(await traffic.knock(source(1), 8002, 3_000), "refused");
    assert.ok((await unreachablesSeen(network, family)) > before);
    assert.equal(await traffic.knock(source(1), 8003, 200), "timeout");
  });

  test("two lists are set by one rule", async () => {
    const { network, traffic } = shared();
    const set = (list: string) => `-m recent --name ${list} --rsource --set`;
    await restore(network, backend, family, [
      `-A INPUT ${check("refused")} ${reset}`,
      `-A INPUT -p tcp --syn --dport 8001 -m connlimit --connlimit-above 1 ${set("seen")} ${set("refused")} ${reset}`,
    ]);
    await traffic.hold(source(1), 8001);
    assert.deepEqual([await readList(network, "seen"), await readList(network, "refused")], [[], []]);
    assert.equal(await traffic.knock(source(1), 8001), "refused");
    assert.deepEqual(await listedAddresses(network, "seen"), [source(1)]);
    assert.deepEqual(await listedAddresses(network, "refused"), [source(1)]);
    assert.equal(await traffic.knock(source(1), 8002), "refused");
  });

  test("a checked source is refused for the seconds from its stamp; only --update starts them anew", async () => {
    const { network, traffic } = shared();
    await restore(network, backend, family, [
      `-A INPUT ${check("checked", 1)} -m tcp --dport 8001 ${reset}`,
      `-A INPUT ${check("updated", 1).replace("--rcheck", "--update")} -m tcp --dport 8002 ${reset}`,
    ]);
    await writeList(network, "updated", `+${source(1)}\n`);
    const began = performance.now();
    await writeList(network, "checked", `+${source(1)}\n`);
    const wrote = performance.now();
    await eventually("the checked source gets in", async () => {
      assert.equal(await traffic.knock(source(1), 8002), "refused", "each attempt renews");
      return (await traffic.knock(source(1), 8001)) === "connected";
    });
    const ended = performance.now();
    // Its stamp is from between `began` and `wrote`.
    assert.ok(ended - began > 950 && ended - wrote < 1_250, `refused for ${ended - wrote} to ${ended - began} ms`);
    assert.equal((await listedAddresses(network, "checked"))?.length, 1, "the entry stays listed after its time");
    assert.equal(await traffic.knock(source(1), 8002), "refused");
  });

  test("a chain that is gone to hands the packet back to the caller of the chain that sent it there", async () => {
    const { network, traffic } = shared();
    await restore(network, backend, family, [
      ":CLD-DISPATCH - [0:0]",
      ":CLD-POLICY - [0:0]",
      "-A INPUT -j CLD-DISPATCH",
      "-A INPUT -p tcp --dport 8003 -j DROP",
      "-A CLD-DISPATCH -p tcp --dport 8001 -g CLD-POLICY",
      "-A CLD-DISPATCH -p tcp --dport 8003 -g CLD-POLICY",
      `-A CLD-DISPATCH -p tcp ${reset}`,
      "-A CLD-POLICY -p tcp --dport 8009 -j DROP",
    ]);
    assert.equal(await traffic.knock(source(1), 8001), "connected", "back in INPUT, past the rest of CLD-DISPATCH");
    assert.equal(await traffic.knock(source(1), 8002), "refused");
    assert.equal(await traffic.knock(source(1), 8003, 200), "timeout", "the next rule of INPUT");
  });
});
