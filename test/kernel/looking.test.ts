// What the kernel would do, said before it does it: check, connections, lists of others, status.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { familiesOf, forSetupsSideBySide, iptables, restore, save } from "../support/kernel.ts";
import { shareScene } from "../support/shared-scenes.ts";

const [limited, scoped, other] = [5700, 5701, 5702];

forSetupsSideBySide((setup) => {
  const { backend, withoutIpset } = setup;
  const scene = shareScene({ ...setup, ports: [limited, scoped, other] });

  for (const { family, source, subject } of familiesOf(setup)) {
    const protectedSource = family === 4 ? "10.9.250.7" : "2001:db8:9:fa07::5";

    describe(`over IPv${family}`, () => {
      test("check says allowed, limited, banned and protected as connections then show", async () => {
        const { api, traffic } = scene();
        const verdict = async (from: string) => (await api.check(from)).verdict;
        await api.putPolicy("limited", { ports: [limited], maxConnections: 2 });
        await api.putPolicy("scoped", { ports: [scoped], maxConnections: 1, ban: { seconds: 600 }, exempt: [subject(8)] });

        assert.equal(await verdict(source(1)), "allowed");
        await traffic.hold(source(1), limited, 2);
        const full = await api.check(source(1));
        assert.equal(full.verdict, "limited");
        const concern = full.policies.find(({ name }) => name === "limited");
        assert.deepEqual([concern?.openConnections, concern?.overLimit, concern?.exempt], [2, true, false]);
        assert.equal(await traffic.knock(source(1), limited), "refused");
        assert.equal(await traffic.knock(source(1), other), "connected");

        await traffic.hold(source(2), scoped);
        assert.equal(await traffic.knock(source(2), scoped), "refused");
        const banned = await api.check(source(2));
        assert.deepEqual([banned.verdict, banned.bans.map((ban) => ban.address)], ["banned", [subject(2)]]);
        assert.equal(banned.policies.find(({ name }) => name === "scoped")?.bannedUntil, banned.bans[0]?.expiresAt);
        assert.equal(await traffic.knock(source(2), other), "refused");
        await api.putBan(source(3));
        assert.equal(await verdict(source(3)), "banned");
        const exempt = await api.check(source(8));
        assert.equal(exempt.policies.find(({ name }) => name === "scoped")?.exempt, true);

        assert.equal(await verdict(protectedSource), "protected");
        assert.equal(await verdict(family === 4 ? "127.0.0.1" : "::1"), "protected");
        assert.equal((await api.check(source(1))).enforced, true);
        await api.batch({ delete: [subject(2), source(3)] });
        assert.deepEqual([await verdict(source(2)), await verdict(source(3))], ["limited", "allowed"]);
        for (const name of ["limited", "scoped"]) await api.deletePolicy(name);
      });

      test("check and status name rules of others that are asked first: in raw, in mangle, above our jump", async () => {
        const { api, network, service } = scene();
        const comment = ["-m", "comment", "--comment", "of several\n-A lines"];
        const drop = ["-s", family === 4 ? "203.0.113.0/24" : "2001:db8:ffff::/48", ...comment, "-j", "DROP"];
        const warned = async () => (await api.status()).warnings.find(({ code }) => code === "rules-above");
        assert.deepEqual((await api.check(source(1))).shadowedBy, []);
        assert.equal(await warned(), undefined);
        for (const table of ["raw", "mangle"]) {
          await iptables(network, backend, family, "-t", table, "-A", "PREROUTING", ...drop);
          const { shadowedBy } = await api.check(source(1));
          assert.equal(shadowedBy.length, 1, JSON.stringify(shadowedBy));
          assert.match(shadowedBy[0] ?? "", new RegExp(`IPv${family} ${table}: -A PREROUTING -s [^]* -j DROP$`));
          assert.match((await warned())?.remedy ?? "", /iptables -[AI]/);
          await iptables(network, backend, family, "-t", table, "-D", "PREROUTING", ...drop);
        }
        // The service puts its jump back to the top within seconds, so that the next look may come too late.
        const accept = ["-p", "tcp", "--dport", String(other), "-j", "ACCEPT"];
        await eventually("a rule above the jump is named", async () => {
          await iptables(network, backend, family, "-I", "INPUT", "1", ...accept);
          const { shadowedBy } = await api.check(source(1));
          return shadowedBy.some((rule) => rule.includes(`IPv${family} filter: -A INPUT -p tcp`));
        });
        await eventually("the jump is back at the top", async () => {
          const first = (await save(network, backend, family)).split("\n").find((line) => line.startsWith("-A INPUT"));
          return first?.includes("CLD-") === true;
        });
        assert.deepEqual((await api.check(source(1))).shadowedBy, []);
        await eventually("none is left", async () => {
          await iptables(network, backend, family, "-D", "INPUT", ...accept);
          return !(await save(network, backend, family)).includes(`--dport ${other} -j ACCEPT`);
        });
        assert.match(service.logs(), /the kernel differed and was put right/);
      });

      test("connections tells sources by open connections, most first, with their distribution", async () => {
        const { api, traffic } = scene();
        await api.putPolicy("limited", { ports: [limited], maxConnections: 100 });
        const held = [
          ...(await traffic.hold(source(21), limited, 5)),
          ...(await traffic.hold(source(22), limited, 3)),
          ...(await traffic.hold(source(22), other, 1)),
          ...(await traffic.hold(source(23), limited, 1)),
        ];
        const { items, distribution } = await api.connections({ port: String(limited) });
        const own = items.filter((item) => [21, 22, 23].some((n) => item.source === source(n)));
        assert.deepEqual(own, [
          { source: source(21), connections: 5 },
          { source: source(22), connections: 3 },
          { source: source(23), connections: 1 },
        ]);
        assert.equal(distribution.max, 5);
        assert.equal(
          distribution.connections,
          items.reduce((sum, { connections }) => sum + connections, 0),
        );
        const everywhere = (await api.connections()).items.find((item) => item.source === source(22));
        assert.equal(everywhere?.connections, 4);
        await traffic.close(held);
        await api.deletePolicy("limited");
      });

      test("the list of rules typed by hand is read with its times, and left alone", async () => {
        const { api, network, traffic } = scene();
        await restore(network, backend, family, [
          ":HAND - [0:0]",
          "-A INPUT -j HAND",
          "-A HAND -p tcp --dport 5703 -m recent --set --name DEFAULT --rsource -j REJECT --reject-with tcp-reset",
          "-A HAND -p tcp --dport 5704 -m recent --rcheck --seconds 60 --name DEFAULT --rsource -j REJECT --reject-with tcp-reset",
        ]);
        const seen: number[] = [];
        for (const from of [source(31), source(32), source(31)]) {
          // Stamps are ticks of up to 10 ms.
          await eventually("the next tick", () => Date.now() - (seen.at(-1) ?? 0) > 20);
          seen.push(Date.now());
          assert.equal(await traffic.knock(from, 5703), "refused");
        }
        const lists = await api.recentLists();
        const summary = lists.find(({ name }) => name === "DEFAULT");
        assert.deepEqual([summary?.own, summary?.capacity], [false, 100]);
        assert.ok(lists.some(({ name, own }) => own && name === `cld${family}-operator`));
        const { entries } = await api.recentList("DEFAULT");
        const [first, second] = entries.filter(({ address }) => address === source(31) || address === source(32));
        assert.deepEqual([first?.address, second?.address], [source(31), source(32)], "the latest first");
        assert.deepEqual([first?.seenAt.length, second?.seenAt.length], [2, 1]);
        for (const [index, at] of [...(first?.seenAt ?? []), ...(second?.seenAt ?? [])].entries()) {
          const off = Date.parse(at) - (seen[[0, 2, 1][index] ?? 0] ?? 0);
          assert.ok(Math.abs(off) <= 200, `${off} ms`);
        }
        assert.equal(first?.lastSeenAt, first?.seenAt.at(-1));
        await restore(network, backend, family, ["-D INPUT -j HAND", "-F HAND", "-X HAND"]);
      });
    });
  }

  test("status tells the backend, rules of the other one, and whether ipset is there, each with its remedy", async () => {
    const { api, network } = scene();
    const codes = async () => (await api.status()).warnings.map(({ code }) => code);
    const status = await api.status();
    assert.deepEqual([status.backend.name, status.backend.otherBackendInUse], [backend, false]);
    assert.equal(status.backend.ipset.available, !withoutIpset);
    assert.equal(status.bans.networks, !withoutIpset);
    assert.equal((await codes()).includes("no-ipset"), withoutIpset);
    assert.ok(status.lists.some(({ name, capacity }) => name === "cld4-operator" && capacity === 100));

    const foreign = backend === "nft" ? "legacy" : "nft";
    await iptables(network, foreign, 4, "-A", "INPUT", "-p", "udp", "-j", "ACCEPT");
    const [warning] = (await api.status()).warnings;
    assert.equal(warning?.code, "both-backends");
    assert.match(warning?.remedy ?? "", /CONNLIMITD_BACKEND=/);
    await iptables(network, foreign, 4, "-F");
    assert.equal((await codes()).includes("both-backends"), false);
  });
});
