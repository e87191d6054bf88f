// Sets of others can hold any text, also such as `ipset` prints when it has said all.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { families, forBackendsSideBySide } from "../support/kernel.ts";
import { createScene } from "../support/scene.ts";

const port = 5950;
const version = "ipset v7.17, protocol version: 7";

forBackendsSideBySide((backend) => {
  test("comments that look like the end of an answer hide none of this service's sets", async () => {
    await using scene = await createScene({ backend, ports: [port] });
    const { api, network, traffic } = scene;
    await network.exec("host", "ipset", ["create", "theirs", "hash:ip", "comment"]);
    for (const [n, comment] of [`a\n${version}\nb`, `c\nipset> ${version}\nipset> ${version}\nd`].entries())
      await network.exec("host", "ipset", ["add", "theirs", `192.0.2.${n + 1}`, "comment", comment]);
    // Sets that are made later are printed behind that one.
    await api.putPolicy("late", { ports: [port], maxConnections: 1, ban: { seconds: 600 } });
    for (const { source } of families) await traffic.exceed([source(3)], port, 1);
    const banned = async (): Promise<number> => (await api.bans()).length;
    await eventually("both are banned", async () => (await banned()) === families.length);
    const looked = async (): Promise<string | null> => (await api.status()).passes.lastAt;
    for (let look = 0; look < 2; look += 1) {
      const before = await looked();
      await eventually("it looks again", async () => (await looked()) !== before, { within: 8_000 });
      assert.equal(await banned(), families.length);
    }
    assert.equal((await api.status()).passes.repairs.count, 0);
    const theirs = await network.exec("host", "ipset", ["save", "theirs"]);
    assert.ok(theirs.includes(`add theirs 192.0.2.1 comment "a\n${version}\nb"\n`));
  });
});
