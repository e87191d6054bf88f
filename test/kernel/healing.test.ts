// A flush of the whole firewall by another tool is noticed and healed with all bans, and the bans that the kernel had made end when they would have.
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { families, forSetupsSideBySide } from "../support/kernel.ts";
import { shareScene } from "../support/shared-scenes.ts";
import { flushesOn } from "./flushes.ts";
import { differences, type KernelState, readState } from "./kernel-state.ts";

const [counted, scoped, brief, other] = [5000, 5001, 5002, 5003];
const generous = { within: 3_000, every: 50 };

forSetupsSideBySide((setup) => {
  const { backend, withoutIpset } = setup;
  const scene = shareScene({ ...setup, ports: [counted, scoped, brief, other] });
  const network = (family: 4 | 6) => (family === 4 ? "10.9.60.0/24" : "2001:db8:9:60::/64");
  const inNetwork = (family: 4 | 6) => (family === 4 ? "10.9.60.9" : "2001:db8:9:60::9");
  /** Everybody who is refused on port `other`, and on `scoped` alone. */
  const refusedEverywhere = families.flatMap(({ family, source }) => [
    source(1),
    source(2),
    source(3),
    ...(withoutIpset ? [] : [inNetwork(family)]),
  ]);
  const refusedOnTheirPort = families.map(({ source }) => source(4));
  const free = families.map(({ source }) => source(9));
  let whole: KernelState;

  const allInForce = async (): Promise<boolean> => {
    const { traffic } = scene();
    const [everywhere, onTheirPort, others] = await Promise.all([
      traffic.knockAll(refusedEverywhere, other),
      traffic.knockAll(refusedOnTheirPort, scoped),
      traffic.knockAll([...free, ...refusedOnTheirPort], other),
    ]);
    return !everywhere.connected && !onTheirPort.connected && others.connected?.length === 2 * free.length;
  };

  before(async () => {
    const { api, traffic } = scene();
    await api.putPolicy("counted", { ports: [counted], maxConnections: 1, ban: { seconds: 600 } });
    await api.putPolicy("scoped", { ports: [scoped], maxConnections: 1, ban: { seconds: 600, scope: "ports" } });
    await api.putPolicy("brief", { ports: [brief], maxConnections: 1, ban: { seconds: 6 } });
    for (const { family, source } of families) {
      await api.putBan(source(1));
      await api.putBan(source(2), { ttlSeconds: 3_600 });
      if (!withoutIpset) await api.putBan(network(family), { ttlSeconds: 3_600 });
      assert.equal((await traffic.exceed([source(3)], counted, 1))[0]?.outcome, "refused");
      assert.equal((await traffic.exceed([source(4)], scoped, 1))[0]?.outcome, "refused");
    }
    assert.equal((await api.bans({ by: "policy" })).length, 4);
    assert.ok(await allInForce());
    whole = await readState(scene().network, backend, !withoutIpset);
  });

  for (const flush of flushesOn(backend, setup)) {
    test(`${flush.name} is healed with every ban, and nobody is banned for longer`, async () => {
      const { api, network: host } = scene();
      const [bans, { count }] = [await api.bans(), (await api.status()).passes.repairs];
      await flush.run(host);
      await eventually("all bans are in force again", allInForce, generous);
      await eventually("every ban is read back", async () => (await api.bans()).every((ban) => ban.enforced), generous);
      const after = new Map((await api.bans()).map((ban) => [ban.address, ban]));
      assert.deepEqual(
        [...after.keys()],
        bans.map((ban) => ban.address),
      );
      for (const ban of bans) {
        const [was, is] = [Date.parse(ban.expiresAt ?? ""), Date.parse(after.get(ban.address)?.expiresAt ?? "")];
        if (ban.expiresAt !== null) assert.ok(is - was < 200 && is - was > -1_000, `${ban.address} ends ${is - was} ms later`);
        assert.deepEqual(
          after.get(ban.address)?.causes.map(({ by, policy }) => [by, policy]),
          ban.causes.map(({ by, policy }) => [by, policy]),
        );
      }
      // Without ipset, bans that are put back stand in lists of another kind.
      if (!withoutIpset) {
        await eventually(
          "rules, lists and sets are what they were",
          async () => assert.deepEqual(differences(whole, await readState(host, backend)), []) ?? true,
          generous,
        );
      }
      // The kernel has it all a moment before the pass has ended.
      const repairs = await eventually("the status counts it", async () => {
        const { repairs: now } = (await api.status()).passes;
        return now.count > count && now;
      });
      assert.ok((repairs.latest[0]?.found.length ?? 0) > 0, "and says what was found");
    });
  }

  test("a ban that the kernel made and a flush interrupted ends when it would have", async () => {
    const { api, traffic, network: host } = scene();
    const sources = families.map(({ source }) => source(20));
    const offences = await traffic.exceed(sources, brief, 1);
    await eventually("both are listed", async () => (await api.bans({ policy: "brief" })).length === 2);
    await flushesOn(backend)[1]?.run(host);
    await eventually("both are refused again", async () => !(await traffic.knockAll(sources, other)).connected, generous);
    const ends = await Promise.all(
      sources.map((source) =>
        eventually("it ends", async () => (await traffic.knock(source, other)) === "connected" && Date.now(), { within: 8_000 }),
      ),
    );
    for (const [index, end] of ends.entries()) {
      const late = end - 6_000 - (offences.find(({ from }) => from === sources[index])?.ended ?? 0);
      assert.ok(late > -1_200 && late < 250, `it ended ${late} ms after its time`);
    }
    await eventually("it is gone from the list", async () => (await api.bans({ policy: "brief" })).length === 0, {
      within: 1_500,
    });
  });
});
