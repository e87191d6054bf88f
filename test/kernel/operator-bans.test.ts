// Bans that somebody asked for over the API.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { banPath } from "../support/api.ts";
import { familiesOf, forSetups, save } from "../support/kernel.ts";
import { shareScene } from "../support/shared-scenes.ts";

const ports = [4301, 4302] as const;

forSetups((setup) => {
  const scene = shareScene({ ...setup, ports });

  for (const { family, source, subject } of familiesOf(setup)) {
    const everywhere = family === 4 ? "10.0.0.0/8" : "2001:db8::/32";

    describe(`over IPv${family}`, () => {
      test("a ban refuses all TCP of its address at once, established connections too, and no other address", async () => {
        const { traffic, api } = scene();
        const neighbour = family === 4 ? source(2) : source(1).replace("::5", "::6");
        const [established] = await traffic.hold(source(1), ports[0]);
        const [untouched] = await traffic.hold(neighbour, ports[0]);
        const ban = await api.putBan(source(1), { reason: "scanner, OPS-123" });
        assert.deepEqual(ban, {
          address: source(1),
          expiresAt: null,
          enforced: true,
          causes: [{ by: "operator", actor: "socket", reason: "scanner, OPS-123", since: ban.causes[0]?.since, expiresAt: null }],
          severed: ban.severed,
        });
        for (const port of ports) assert.equal(await traffic.knock(source(1), port), "refused");
        assert.equal(await traffic.send(established ?? -1), "reset");
        assert.equal(await traffic.send(untouched ?? -1), "echoed");
        assert.equal(await traffic.knock(neighbour, ports[1]), "connected");

        await api.deleteBan(source(1));
        for (const port of ports) assert.equal(await traffic.knock(source(1), port), "connected");
      });

      test("an operator's and the kernel's cause are one ban in IPv4, and DELETE lifts every cause of what it names", async () => {
        const { traffic, api } = scene();
        await api.putPolicy("both", { ports: [ports[0]], maxConnections: 1, ban: { seconds: 600 } });
        await traffic.hold(source(3), ports[0]);
        assert.equal(await traffic.knock(source(3), ports[0]), "refused");
        await api.putBan(source(3), { ttlSeconds: 30 });
        const kinds = (await api.bans({ covers: source(3) })).map((ban) => [
          ban.address,
          ban.causes.map((cause) => cause.by).sort(),
        ]);
        assert.deepEqual(
          new Map(kinds as [string, string[]][]),
          family === 4
            ? new Map([[source(3), ["operator", "policy"]]])
            : new Map([
                [source(3), ["operator"]],
                [subject(3), ["policy"]],
              ]),
        );
        if (family === 4)
          assert.ok(Date.parse((await api.ban(source(3)))?.expiresAt ?? "") > Date.now() + 500_000, "the latest of all causes");

        for (const address of new Set([source(3), subject(3)])) {
          assert.equal(await traffic.knock(source(3), ports[1]), "refused");
          await api.deleteBan(address);
        }
        assert.equal(await traffic.knock(source(3), ports[1]), "connected");
        assert.deepEqual(await api.bans({ covers: source(3) }), []);
        await api.deletePolicy("both");
      });

      test("a ban on a network refuses what is inside and no other; where there is no ipset it is a 422 that changes nothing", async () => {
        const { api, service, network, traffic } = scene();
        const [banned, inside, beside] =
          family === 4
            ? ["10.9.40.0/24", "10.9.40.77", "10.9.41.77"]
            : ["2001:db8:9:40::/64", "2001:db8:9:40::7", "2001:db8:9:41::7"];
        if (setup.withoutIpset) {
          const before = [await save(network, setup.backend, family), await api.bans()];
          const answer = await service.request("PUT", banPath(banned), {});
          assert.equal(answer.status, 422, JSON.stringify(answer.body));
          assert.match((answer.body as { detail: string }).detail, /install .*ipset/i);
          assert.deepEqual([await save(network, setup.backend, family), await api.bans()], before);
          assert.equal(await traffic.knock(inside, ports[0]), "connected");
          return;
        }
        await api.putBan(banned, { ttlSeconds: 60 });
        assert.equal((await api.ban(banned))?.enforced, true);
        assert.deepEqual(
          (await api.bans({ covers: inside })).map((ban) => ban.address),
          [banned],
        );
        assert.equal(await traffic.knock(inside, ports[0]), "refused");
        assert.equal(await traffic.knock(beside, ports[0]), "connected");
        await api.deleteBan(banned);
        assert.equal(await traffic.knock(inside, ports[0]), "connected");
      });

      test("when the kernel's list is full, bans go on in the set; where there is none, a 507 changes nothing and evicts nobody", async () => {
        const { api, service, traffic } = scene();
        const capacity = Number(await readFile("/sys/module/xt_recent/parameters/ip_list_tot", "utf8"));
        const addresses = Array.from({ length: capacity }, (_, index) => source(1_000 + index));
        await api.batch({ put: addresses.map((address) => ({ address })) });
        const before = await api.bans({ by: "operator", within: everywhere });
        assert.equal(before.length, capacity);
        assert.ok(before.every((ban) => ban.enforced));

        const answer = await service.request("PUT", banPath(source(2_000)), {});
        assert.equal(answer.status, setup.withoutIpset ? 507 : 201, JSON.stringify(answer.body));
        assert.equal(await traffic.knock(source(2_000), ports[0]), setup.withoutIpset ? "connected" : "refused");
        assert.equal((await traffic.knockAll(addresses, ports[0])).refused?.length, capacity);
        if (setup.withoutIpset) {
          assert.match((answer.body as { detail: string }).detail, /ipset|ip_list_tot/);
          assert.deepEqual(await api.bans({ by: "operator", within: everywhere }), before);
        }

        await api.putBan(source(1_000), { reason: "known already: takes no further room" });
        await api.deleteBan(source(1_001));
        await api.putBan(source(2_000));
        assert.equal(await traffic.knock(source(1_001), ports[0]), "connected");
        assert.equal(await traffic.knock(source(2_000), ports[0]), "refused");
        assert.ok((await api.bans({ within: everywhere })).every((ban) => ban.enforced));
        await api.batch({ delete: (await api.bans({ within: everywhere })).map((ban) => ban.address) });
        assert.equal(await traffic.knock(source(1_000), ports[0]), "connected");
      });
    });
  }
});
