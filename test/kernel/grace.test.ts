// An unban that lasts: for a while policies limit an address, but do not ban it.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { familiesOf, forSetupsSideBySide, listedAddresses, readSets } from "../support/kernel.ts";
import { shareScene } from "../support/shared-scenes.ts";
import { flushesOn } from "./flushes.ts";

const [counted, other] = [5600, 5601];

forSetupsSideBySide((setup) => {
  const scene = shareScene({ ...setup, ports: [counted, other] });

  for (const { family, source, subject } of familiesOf(setup)) {
    describe(`over IPv${family}`, () => {
      test("until its grace ends a source is limited and not banned, and then banned again", async () => {
        const { api, traffic } = scene();
        await api.putPolicy("counted", { ports: [counted], maxConnections: 1, ban: { seconds: 600 } });
        await traffic.hold(source(1), counted);
        assert.equal(await traffic.knock(source(1), counted), "refused");
        assert.equal((await api.check(source(1))).verdict, "banned");

        const askedAt = Date.now();
        await api.deleteBan(subject(1), 3);
        const liftedAt = Date.now();
        assert.equal(await traffic.knock(source(1), other), "connected");
        assert.equal(await traffic.knock(source(1), counted), "refused", "the limit holds");
        assert.equal(await traffic.knock(source(1), other), "connected", "but nobody bans it");
        const check = await api.check(source(1));
        assert.deepEqual([check.verdict, check.bans], ["limited", []]);
        const until = Date.parse(check.graceUntil ?? "");
        assert.ok(
          until >= askedAt + 3_000 && until <= liftedAt + 3_000,
          `the grace ends ${until - askedAt} ms after it was asked for`,
        );

        // Another source of the same policy has no grace.
        await traffic.exceed([source(2)], counted, 1);
        assert.equal(await traffic.knock(source(2), other), "refused");

        await eventually("it is banned again", async () => {
          assert.notEqual(await traffic.knock(source(1), counted), "connected");
          return (await traffic.knock(source(1), other)) === "refused";
        });
        const after = Date.now() - until;
        assert.ok(after > -20 && after < 1_300, `${after} ms after the end of its grace`);
        assert.equal((await api.check(source(1))).graceUntil, null);
        await api.deletePolicy("counted");
      });
    });
  }

  test("a grace outlasts a restart of the service and a flush by another tool", async () => {
    const { api, traffic, service, network } = scene();
    const each = familiesOf(setup);
    await api.putPolicy("counted", { ports: [counted], maxConnections: 1, ban: { seconds: 600 } });
    for (const { source, subject } of each) {
      await traffic.exceed([source(3)], counted, 1);
      assert.equal(await traffic.knock(source(3), other), "refused");
      await api.deleteBan(subject(3), 600);
    }
    const endsOfGraces = () => Promise.all(each.map(async ({ source }) => (await api.check(source(3))).graceUntil));
    const before = await endsOfGraces();
    await service.kill();
    await service.restart();
    for (const flush of flushesOn(setup.backend, setup).slice(-2)) {
      await flush.run(network);
      for (const { family, source, subject, entry } of each) {
        const inKernel = async () =>
          setup.withoutIpset
            ? (await listedAddresses(network, `cld${family}-grace-${family === 4 ? 32 : 64}`))?.includes(entry(3))
            : (await readSets(network)).get(`cld${family}-grace`)?.some(({ address }) => address === subject(3));
        await eventually("the limit and the grace are back", async () => {
          const [attempt] = await traffic.exceed([source(4)], counted, 1);
          return attempt?.outcome === "refused" && (await inKernel());
        });
        assert.equal((await traffic.exceed([source(3)], counted, 1))[0]?.outcome, "refused");
        assert.equal(await traffic.knock(source(3), other), "connected");
        await api.deleteBan(subject(4));
      }
    }
    assert.deepEqual(await endsOfGraces(), before);
    await api.deletePolicy("counted");
  });
});
