// Partial damage to what is the service's own is noticed, put right and counted.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { families, forSetupsSideBySide } from "../support/kernel.ts";
import { seededRandom } from "../support/random.ts";
import { shareScene } from "../support/shared-scenes.ts";
import { differences, type KernelState, readState } from "./kernel-state.ts";
import { vandalise } from "./vandalism.ts";

/** Per setup; the bench does more, and one at a time. */
const [rounds, perRound] = [4, 4];
const [counted, scoped] = [5101, 5102];

forSetupsSideBySide((setup) => {
  const { backend, withoutIpset } = setup;
  const scene = shareScene({ ...setup, ports: [counted, scoped] });
  let whole: KernelState;
  const differing = async () => differences(whole, await readState(scene().network, backend, !withoutIpset));

  before(async () => {
    const { api, traffic, network } = scene();
    await api.putPolicy("counted", { ports: [counted], maxConnections: 1, ban: { seconds: 600 }, exempt: ["10.9.7.0/24"] });
    await api.putPolicy("scoped", {
      ports: [scoped],
      maxConnections: 1,
      ban: { seconds: 900, scope: "ports", renewOnAttempt: true },
    });
    for (const { family, source } of families) {
      for (const n of [1, 2, 3]) await api.putBan(source(n), n === 2 ? { ttlSeconds: 3_600 } : {});
      if (withoutIpset) continue;
      const networks = family === 4 ? ["10.9.60.0/24", "10.9.61.0/24"] : ["2001:db8:9:60::/64", "2001:db8:9:61::/64"];
      for (const address of networks) await api.putBan(address, { ttlSeconds: 3_600 });
      await traffic.exceed([source(4), source(5)], counted, 1);
      await traffic.exceed([source(6)], scoped, 1);
    }
    await eventually("the bans are listed", async () => (await api.bans({ by: "policy" })).length === (withoutIpset ? 0 : 6));
    whole = await readState(network, backend, !withoutIpset);
  });

  test(`${rounds * perRound} random damages are put right and counted, and who was banned stays banned`, async () => {
    const { api, network } = scene();
    const random = seededRandom(backend === "nft" ? 5 : 6);
    let { count } = (await api.status()).passes.repairs;
    const said = scene().service.logs().length;
    for (let round = 0; round < rounds; round += 1) {
      const done: string[] = [];
      for (let damage = 0; damage < perRound; damage += 1) done.push(await vandalise({ network, backend, withoutIpset }, random));
      const what = `it is put right after:\n${done.join("\n")}\n`;
      await eventually(what, async () => assert.deepEqual(await differing(), []) ?? true, { within: 4_000, every: 250 });
      const { repairs } = (await api.status()).passes;
      assert.ok(repairs.count > count, `the status counts ${what}`);
      assert.ok((repairs.latest[0]?.found.length ?? 0) > 0, "and says what was found");
      count = repairs.count;
    }
    assert.ok((await api.bans()).every((ban) => ban.enforced));
    assert.match(scene().service.logs().slice(said), /the kernel differed and was put right/);
  });
});
