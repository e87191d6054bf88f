// Facts of xt_recent that the order of our writes rests on: when a list and its entries come and go (kernel.md › xt_recent).
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  forBackendsAndFamilies,
  iptables,
  listedAddresses,
  program,
  readList,
  restore,
  writeList,
} from "../../support/kernel.ts";
import { createNetwork } from "../../support/namespaces.ts";

const check = ["-m", "recent", "--name", "facts", "--rsource", "--rcheck", "--seconds", "60"];
const checkText = check.join(" ");

forBackendsAndFamilies((backend, { family, source }) => {
  const other = family === 4 ? 6 : 4;

  test("a list's file exists only while a rule names it, and its entries die with the last such rule", async () => {
    await using network = await createNetwork();
    assert.equal(await readList(network, "facts"), undefined);

    await iptables(network, backend, family, "-A", "INPUT", ...check);
    assert.deepEqual(await readList(network, "facts"), []);
    await writeList(network, "facts", `+${source(1)}\n`);
    assert.deepEqual(await listedAddresses(network, "facts"), [source(1)]);

    await iptables(network, backend, family, "-D", "INPUT", ...check);
    assert.equal(await readList(network, "facts"), undefined);
    await iptables(network, backend, family, "-A", "INPUT", ...check);
    assert.deepEqual(await readList(network, "facts"), []);
  });

  test("one transaction that flushes and refills a chain keeps the entries", async () => {
    await using network = await createNetwork();
    await restore(network, backend, family, [":CLD-FACTS - [0:0]", `-A CLD-FACTS ${checkText} -j DROP`]);
    await writeList(network, "facts", `+${source(1)}\n`);

    await restore(network, backend, family, ["-F CLD-FACTS", `-A CLD-FACTS ${checkText} -j REJECT`]);
    assert.deepEqual(await listedAddresses(network, "facts"), [source(1)]);
    await restore(network, backend, family, [":CLD-FACTS - [0:0]", `-A CLD-FACTS ${checkText} -j DROP`]);
    assert.deepEqual(await listedAddresses(network, "facts"), [source(1)]);
    await restore(network, backend, family, [`-R CLD-FACTS 1 ${checkText} -j REJECT`]);
    assert.deepEqual(await listedAddresses(network, "facts"), [source(1)]);
    await restore(network, backend, family, ["-D CLD-FACTS 1", `-A CLD-FACTS ${checkText} -j DROP`]);
    assert.deepEqual(await listedAddresses(network, "facts"), [source(1)]);
  });

  test("a flush and a refill in two transactions lose the entries", async () => {
    await using network = await createNetwork();
    await restore(network, backend, family, [":CLD-FACTS - [0:0]", `-A CLD-FACTS ${checkText} -j DROP`]);
    await writeList(network, "facts", `+${source(1)}\n`);

    await restore(network, backend, family, ["-F CLD-FACTS"]);
    await restore(network, backend, family, [`-A CLD-FACTS ${checkText} -j DROP`]);
    assert.deepEqual(await readList(network, "facts"), []);
  });

  test("rules in different chains that name one list keep it alive when one of them is deleted", async () => {
    await using network = await createNetwork();
    await restore(network, backend, family, [
      ":CLD-ONE - [0:0]",
      ":CLD-TWO - [0:0]",
      `-A CLD-ONE ${checkText} -j DROP`,
      `-A CLD-TWO ${checkText} -j REJECT`,
    ]);
    await writeList(network, "facts", `+${source(1)}\n`);

    await restore(network, backend, family, ["-D CLD-ONE 1"]);
    assert.deepEqual(await listedAddresses(network, "facts"), [source(1)]);
    await restore(network, backend, family, [`-A CLD-ONE ${checkText} -j DROP`, "-D CLD-TWO 1"]);
    assert.deepEqual(await listedAddresses(network, "facts"), [source(1)]);
  });

  test("a rule of the other family or of another table keeps a list alive over a flush of the filter table", async () => {
    await using network = await createNetwork();
    for (const [keeper, keeperFamily] of [
      [["-t", "filter"], other],
      [["-t", "raw"], family],
    ] as const) {
      const chain = keeper[1] === "raw" ? "PREROUTING" : "INPUT";
      await iptables(network, backend, family, "-A", "INPUT", ...check);
      await iptables(network, backend, keeperFamily, ...keeper, "-A", chain, ...check);
      await writeList(network, "facts", `+${source(1)}\n`);

      await iptables(network, backend, family, "-F");
      assert.deepEqual(await listedAddresses(network, "facts"), [source(1)]);
      await iptables(network, backend, keeperFamily, ...keeper, "-F");
      assert.equal(await readList(network, "facts"), undefined);
    }
  });

  test("a list belongs to its namespace", async () => {
    await using network = await createNetwork();
    await iptables(network, backend, family, "-A", "INPUT", ...check);
    await writeList(network, "facts", `+${source(1)}\n`);
    await network.exec("client", program(backend, family), ["-w", "10", "-A", "INPUT", ...check]);

    assert.equal(await network.exec("client", "cat", ["/proc/net/xt_recent/facts"]), "");
    assert.deepEqual(await listedAddresses(network, "facts"), [source(1)]);
  });

  test("a rule that asks for a larger hitcount wipes the list", async () => {
    await using network = await createNetwork();
    await iptables(network, backend, family, "-A", "INPUT", ...check, "--hitcount", "2");
    await writeList(network, "facts", `+${source(1)}\n`);
    await iptables(network, backend, family, "-A", "INPUT", ...check, "--hitcount", "2", "-j", "DROP");
    assert.deepEqual(await listedAddresses(network, "facts"), [source(1)]);

    await iptables(network, backend, family, "-A", "INPUT", ...check, "--hitcount", "20");
    assert.deepEqual(await readList(network, "facts"), []);
  });
});
