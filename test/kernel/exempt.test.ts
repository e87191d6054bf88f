// Who is never refused: protected networks, and what a policy exempts.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { familiesOf, forSetups } from "../support/kernel.ts";
import { shareScene } from "../support/shared-scenes.ts";

forSetups((setup) => {
  const scene = shareScene({ ...setup, ports: [4000, 4101, 4102, 4103, 4104] });

  for (const { family, source, subject } of familiesOf(setup)) {
    describe(`over IPv${family}`, () => {
      const protectedSource = family === 4 ? "10.9.250.7" : "2001:db8:9:fa07::5";

      test("a protected source is neither counted nor banned, whatever the policy and whoever asks", async () => {
        const { traffic, api, service } = scene();
        await api.putPolicy("guarded", { ports: [4101], maxConnections: 1, ban: { seconds: 60 } });
        const held = await traffic.hold(protectedSource, 4101, 4);
        assert.deepEqual(await api.bans({ covers: protectedSource }), []);
        assert.deepEqual(await api.offenders("guarded"), []);

        const answer = await service.request("PUT", `/v1/bans/${encodeURIComponent(protectedSource)}`, {});
        assert.equal(answer.status, 409, JSON.stringify(answer.body));
        assert.equal(await traffic.send(held[0] ?? -1), "echoed");
        assert.equal(await traffic.knock(protectedSource, 4000), "connected");
        await api.deletePolicy("guarded");
      });

      test("an exempt source is not counted by the policy that exempts it, but by others", async () => {
        const { traffic, api } = scene();
        await api.putPolicy("lenient", { ports: [4102], maxConnections: 1, ban: { seconds: 60 }, exempt: [subject(11)] });
        await traffic.hold(source(11), 4102, 4);
        await traffic.hold(source(12), 4102);
        assert.equal(await traffic.knock(source(12), 4102), "refused");
        assert.deepEqual(
          (await api.bans({ policy: "lenient" })).map((ban) => ban.address),
          [subject(12)],
        );

        await api.putPolicy("stern", { ports: [4102], maxConnections: 2 });
        await traffic.hold(source(11), 4102, 2);
        assert.equal(await traffic.knock(source(11), 4102), "refused");
        await api.deletePolicy("stern");
        await api.deletePolicy("lenient");
      });

      test("an exempt address inside a network that is counted and banned is never refused", async () => {
        const { traffic, api } = scene();
        const [exempt, counted, banned] =
          family === 4
            ? ["10.9.30.7", "10.9.30.8", "10.9.30.0/24"]
            : ["2001:db8:9:30::7", "2001:db8:9:30::8", "2001:db8:9:30::/64"];
        await api.putPolicy("cut-out", {
          ports: [4103],
          maxConnections: 2,
          countPer: { ipv4Prefix: 24, ipv6Prefix: 64 },
          ban: { seconds: 60 },
          exempt: [exempt],
        });
        const held = await traffic.hold(exempt, 4103, 4);
        await traffic.hold(counted, 4103, 2);
        assert.equal(await traffic.knock(counted, 4103), "refused");
        assert.equal(await traffic.knock(counted, 4000), "refused");
        assert.deepEqual(
          (await api.bans({ policy: "cut-out" })).map((ban) => ban.address),
          [banned],
        );

        assert.equal(await traffic.send(held[0] ?? -1), "echoed");
        assert.equal(await traffic.knock(exempt, 4103), "connected");
        assert.equal(await traffic.knock(exempt, 4000), "connected");
        await api.deletePolicy("cut-out");
      });

      test("an edit that exempts an address lets it in at once, though its network is banned already", async () => {
        const { traffic, api } = scene();
        const [exempt, counted] = family === 4 ? ["10.9.31.7", "10.9.31.8"] : ["2001:db8:9:31::7", "2001:db8:9:31::8"];
        const policy = { ports: [4104], maxConnections: 1, countPer: { ipv4Prefix: 24, ipv6Prefix: 64 }, ban: { seconds: 60 } };
        await api.putPolicy("late", policy);
        await traffic.hold(counted, 4104);
        assert.equal(await traffic.knock(counted, 4104), "refused");
        assert.equal(await traffic.knock(exempt, 4000), "refused");

        await api.patchPolicy("late", { exempt: [exempt] });
        assert.equal(await traffic.knock(exempt, 4000), "connected");
        await traffic.hold(exempt, 4104, 3);
        assert.equal(await traffic.knock(counted, 4000), "refused");
        await api.deletePolicy("late");
      });
    });
  }
});
