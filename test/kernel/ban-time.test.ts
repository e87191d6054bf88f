// Bans in real time. The tests of a backend wait side by side, so none of them may change a rule: on legacy that forgets all counts.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { families, forSetups } from "../support/kernel.ts";
import { shareScene } from "../support/shared-scenes.ts";

const other = 4200;
const ports = { short: 4201, scoped: 4202, renewed: 4203 } as const;

forSetups((setup) => {
  const scene = shareScene({ ...setup, ports: [other, ...Object.values(ports)] });

  before(async () => {
    const { api } = scene();
    await api.putPolicy("short", { ports: [ports.short], maxConnections: 1, ban: { seconds: 2 } });
    await api.putPolicy("scoped", { ports: [ports.scoped], maxConnections: 1, ban: { seconds: 60, scope: "ports" } });
    await api.putPolicy("renewed", { ports: [ports.renewed], maxConnections: 1, ban: { seconds: 2, renewOnAttempt: true } });
  });

  describe("side by side", { concurrency: true }, () => {
    for (const { family, source, subject } of families) {
      test(`a ban that the kernel made ends by itself when the list says, over IPv${family}`, async () => {
        const { traffic, api } = scene();
        await traffic.hold(source(1), ports.short);
        const knockedAt = Date.now();
        assert.equal(await traffic.knock(source(1), ports.short), "refused");
        const ban = await api.ban(subject(1));
        assert.ok(ban !== undefined);

        const end = await eventually(
          "the ban ends",
          async () => (await traffic.knock(source(1), other)) === "connected" && Date.now(),
          { every: 15 },
        );
        const said = Date.parse(ban.expiresAt ?? "");
        assert.ok(Math.abs(end - said) <= 200, `it ended ${end - said} ms after ${ban.expiresAt}`);
        assert.ok(end - knockedAt >= 1_900, `it ended after ${end - knockedAt} ms`);
        await eventually("it is gone from the list", async () => (await api.ban(subject(1))) === undefined, { within: 1_000 });
      });

      test(`a ban of scope ports refuses those ports and no others, over IPv${family}`, async () => {
        const { traffic, api } = scene();
        const held = await traffic.hold(source(2), ports.scoped);
        const [elsewhere] = await traffic.hold(source(2), other);
        assert.equal(await traffic.knock(source(2), ports.scoped), "refused");
        await traffic.close(held);
        assert.equal(await traffic.knock(source(2), ports.scoped), "refused", "below the limit, but banned");
        assert.equal(await traffic.knock(source(2), other), "connected");
        assert.equal(await traffic.send(elsewhere ?? -1), "echoed");

        await api.deleteBan(subject(2));
        await eventually("the source gets in", async () => (await traffic.knock(source(2), ports.scoped)) === "connected", {
          within: 200,
        });
      });

      test(`with renewOnAttempt each attempt starts the time anew, over IPv${family}`, async () => {
        const { traffic, api } = scene();
        await traffic.hold(source(3), ports.renewed);
        const knockedAt = Date.now();
        await eventually("twice the ban's time is over", async () => {
          assert.notEqual(await traffic.knock(source(3), ports.renewed), "connected");
          return Date.now() - knockedAt > 3_000;
        });
        const last = Date.now();
        assert.equal(await traffic.knock(source(3), other), "refused");
        const ban = await api.ban(subject(3));
        const ahead = Date.parse(ban?.expiresAt ?? "") - last;
        assert.ok(ahead > 1_800 && ahead < 2_300, `after the last attempt it has ${ahead} ms to go`);

        const end = Date.parse(ban?.expiresAt ?? "");
        await eventually("the ban has run out, give or take 0.2 s", () => Date.now() > end + 200);
        assert.equal(await api.ban(subject(3)), undefined);
        assert.equal(await traffic.knock(source(3), other), "connected");
      });

      test(`an operator's ban with a time ends within a second of it, in the kernel and in the list, over IPv${family}`, async () => {
        const { traffic, api } = scene();
        const askedAt = Date.now();
        const ban = await api.putBan(source(4), { ttlSeconds: 1 });
        const said = Date.parse(ban.expiresAt ?? "");
        assert.ok(said >= askedAt + 1_000 && said <= Date.now() + 1_000, `expires at ${ban.expiresAt}`);
        assert.equal(await traffic.knock(source(4), other), "refused");

        const end = await eventually(
          "the source gets in",
          async () => (await traffic.knock(source(4), other)) === "connected" && Date.now(),
          { every: 15 },
        );
        assert.ok(end - said >= -20 && end - said <= 1_000, `it ended ${end - said} ms after ${ban.expiresAt}`);
        assert.equal(await api.ban(source(4)), undefined);
      });
    }
  });
});
