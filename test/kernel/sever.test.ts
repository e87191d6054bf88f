// A new ban ends the connections that are open, unless the request says otherwise.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { familiesOf, forSetups } from "../support/kernel.ts";
import { shareScene } from "../support/shared-scenes.ts";

const [watched, other] = [5500, 5501];

forSetups((setup) => {
  const scene = shareScene({ ...setup, ports: [watched, other] });

  for (const { family, source } of familiesOf(setup)) {
    /** How many connections of a source connection tracking knows as established. */
    const tracked = async (from: string): Promise<number> => {
      const args = ["-L", "-f", `ipv${family}`, "-p", "tcp", "--state", "ESTABLISHED", "-s", from];
      return (await scene().network.exec("host", "conntrack", args)).split("\n").filter(Boolean).length;
    };
    /** How many connections of a source the servers still have. */
    const sockets = async (from: string): Promise<number> =>
      (await scene().traffic.host.state()).peers.filter((peer) => peer === from).length;

    describe(`over IPv${family}`, () => {
      for (const [n, where] of [
        [1, "where no policy is"],
        [2, "where a policy is"],
      ] as const) {
        test(`a ban ends the connections of its address on every port, without a further packet, ${where}`, async () => {
          const { api, traffic } = scene();
          if (n === 2) await api.putPolicy("watched", { ports: [watched], maxConnections: 100 });
          const held = [...(await traffic.hold(source(n), watched, 2)), ...(await traffic.hold(source(n), other))];
          const [bystander] = await traffic.hold(source(n + 10), other);
          await eventually("the servers have them", async () => (await sockets(source(n))) === held.length);
          const { severed } = await api.putBan(source(n));
          assert.equal(severed, held.length);
          await eventually("the client sees the end of all", async () => {
            const { open: left } = await traffic.client.state();
            return held.every((connection) => !left.includes(connection));
          });
          await eventually("the servers have let go of them", async () => (await sockets(source(n))) === 0);
          assert.equal(await tracked(source(n)), 0);
          assert.equal(await traffic.send(bystander ?? -1), "echoed");
          if (n === 2) await api.deletePolicy("watched");
        });
      }

      test("a connection that was accepted after the last look at the sockets is ended too", async () => {
        const { api, traffic } = scene();
        for (let n = 60; n < 66; n += 1) {
          assert.equal((await api.putBan(source(n + 10))).severed, 0);
          await traffic.hold(source(n), other);
          assert.equal((await api.putBan(source(n))).severed, 1);
          assert.equal((await api.putBan(source(n + 20))).severed, 0);
        }
      });

      test("with sever false the sockets stay, and the rules alone refuse what comes", async () => {
        const { api, traffic } = scene();
        await api.putPolicy("watched", { ports: [watched], maxConnections: 100 });
        const [held] = await traffic.hold(source(3), watched);
        await eventually("the server has it", async () => (await sockets(source(3))) === 1);
        const { severed } = await api.putBan(source(3), { sever: false });
        assert.equal(severed, null);
        assert.ok((await tracked(source(3))) > 0);
        assert.equal(await sockets(source(3)), 1);
        assert.equal(await traffic.send(held ?? -1), "reset");
        await api.deletePolicy("watched");
        await api.deleteBan(source(3));
      });

      test("a batch and a ban on a network end all that is inside, and nothing else", async () => {
        const { api, traffic } = scene();
        await api.putPolicy("watched", { ports: [watched], maxConnections: 100 });
        const [inside, beside, network] =
          family === 4
            ? [["10.9.70.1", "10.9.70.200"], "10.9.71.1", "10.9.70.0/24"]
            : [["2001:db8:9:70::1", "2001:db8:9:70:1::1"], "2001:db8:9:71::1", "2001:db8:9:70::/64"];
        const open = async () => (await traffic.client.state()).open;
        const held = (await Promise.all([...inside, source(4)].map((from) => traffic.hold(from, watched)))).flat();
        const [bystander] = await traffic.hold(beside, watched);
        const wide = setup.withoutIpset ? inside.map((address) => ({ address })) : [{ address: network }];
        const { severed } = await api.batch({ put: [...wide, { address: source(4) }, { address: source(5), sever: false }] });
        assert.equal(severed, held.length);
        await eventually("the client sees the end of all", async () => {
          const left = await open();
          return held.every((connection) => !left.includes(connection));
        });
        assert.equal(await traffic.send(bystander ?? -1), "echoed");
        await api.deletePolicy("watched");
        await api.batch({ delete: (await api.bans()).map((ban) => ban.address) });
      });
    });
  }
});
