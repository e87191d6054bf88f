// What a policy does to real connections, on both backends and in both families.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { familiesOf, forSetups, save, unreachablesSeen } from "../support/kernel.ts";
import { shareScene } from "../support/shared-scenes.ts";

const other = 4000;
const policyPorts = Array.from({ length: 60 }, (_, index) => 4001 + index);

forSetups((setup) => {
  const scene = shareScene({ ...setup, ports: [other, ...policyPorts] });
  let used = 0;
  /** A policy name, ports and source numbers of a test's own. */
  const own = () => {
    used += 1;
    const port = 4000 + used * 2;
    return { name: `policy-${used}`, port, second: port - 1, n: used * 4 };
  };

  for (const { family, source, subject } of familiesOf(setup)) {
    describe(`over IPv${family}`, () => {
      test("the third connection is refused, and its source is banned on every port while another source works", async () => {
        const { traffic, api } = scene();
        const { name, port, n } = own();
        await api.putPolicy(name, { ports: [port], maxConnections: 2, ban: { seconds: 60 } });
        const [first] = await traffic.hold(source(n), port, 2);
        const [elsewhere] = await traffic.hold(source(n), other);
        assert.ok(first !== undefined && elsewhere !== undefined);
        assert.equal(await traffic.send(first), "echoed");

        assert.equal(await traffic.knock(source(n), port), "refused");
        assert.equal(await traffic.knock(source(n), other), "refused");
        assert.equal(await traffic.send(first), "reset");
        assert.equal(await traffic.send(elsewhere), "reset");

        const neighbour = await traffic.hold(source(n + 1), port, 2);
        assert.equal(await traffic.knock(source(n + 1), other), "connected");
        assert.equal(await traffic.send(neighbour[0] ?? -1), "echoed");
      });

      test("a ban that the kernel made is listed with its policy and its times", async () => {
        const { traffic, api } = scene();
        const { name, port, n } = own();
        await api.putPolicy(name, { ports: [port], maxConnections: 1, ban: { seconds: 60 } });
        await traffic.hold(source(n), port);
        assert.equal(await api.ban(subject(n)), undefined);

        const knockedAt = Date.now();
        assert.equal(await traffic.knock(source(n), port), "refused");
        const ban = await api.ban(subject(n));
        assert.ok(ban !== undefined);
        const [cause] = ban.causes;
        assert.deepEqual(ban, {
          address: subject(n),
          expiresAt: cause?.expiresAt,
          enforced: true,
          causes: [{ by: "policy", policy: name, since: cause?.since, expiresAt: cause?.expiresAt }],
        });
        assert.ok(
          Math.abs(Date.parse(cause?.since ?? "") - knockedAt) < 200,
          `since ${cause?.since}, knocked at ${new Date(knockedAt).toISOString()}`,
        );
        assert.ok(Math.abs(Date.parse(cause?.expiresAt ?? "") - knockedAt - 60_000) < 200);
        assert.deepEqual(await api.bans({ policy: name }), [ban]);

        const [offender, ...more] = await api.offenders(name);
        assert.deepEqual(more, []);
        assert.equal(offender?.source, subject(n));
        assert.ok(Math.abs(Date.parse(offender?.bannedUntil ?? "") - Date.parse(ban.expiresAt ?? "")) < 50);
      });

      test("DELETE lets the source in at once", async () => {
        const { traffic, api } = scene();
        const { name, port, n } = own();
        await api.putPolicy(name, { ports: [port], maxConnections: 1, ban: { seconds: 600 } });
        const held = await traffic.hold(source(n), port);
        assert.equal(await traffic.knock(source(n), port), "refused");
        assert.equal(await traffic.knock(source(n), other), "refused");

        await api.deleteBan(subject(n));
        assert.equal(await traffic.knock(source(n), other), "connected");
        assert.equal(await api.ban(subject(n)), undefined);
        assert.equal(await traffic.send(held[0] ?? -1), "echoed");
      });

      test("without a ban only the excess connections are refused", async () => {
        const { traffic, api } = scene();
        const { name, port, n } = own();
        await api.putPolicy(name, { ports: [port], maxConnections: 2, ban: null });
        const held = await traffic.hold(source(n), port, 2);
        assert.equal(await traffic.knock(source(n), port), "refused");
        assert.equal(await traffic.knock(source(n), other), "connected");
        assert.equal(await api.ban(subject(n)), undefined);
        assert.deepEqual(
          (await api.offenders(name)).map((offender) => [offender.source, offender.bannedUntil]),
          [[subject(n), null]],
        );

        await traffic.close(held);
        await eventually("a closed connection makes room", async () => (await traffic.knock(source(n), port)) === "connected");
      });

      test("one count goes over all ports of a policy", async () => {
        const { traffic, api } = scene();
        const { name, port, second, n } = own();
        await api.putPolicy(name, { ports: [port, second], maxConnections: 2 });
        await traffic.hold(source(n), port);
        await traffic.hold(source(n), second);
        assert.equal(await traffic.knock(source(n), port), "refused");
        assert.equal(await traffic.knock(source(n), second), "refused");
      });

      test("two policies that share a port both count", async () => {
        const { traffic, api } = scene();
        const { name, port, second, n } = own();
        await api.putPolicy(`${name}-a`, { ports: [port], maxConnections: 2 });
        await api.putPolicy(`${name}-b`, { ports: [port, second], maxConnections: 3 });
        await traffic.hold(source(n), port, 2);
        assert.equal(await traffic.knock(source(n), port), "refused");

        await traffic.hold(source(n + 1), second, 2);
        await traffic.hold(source(n + 1), port, 1);
        assert.equal(await traffic.knock(source(n + 1), port), "refused");
        assert.deepEqual(
          (await api.offenders(`${name}-a`)).map((offender) => offender.source),
          [subject(n)],
        );
        assert.deepEqual(
          (await api.offenders(`${name}-b`)).map((offender) => offender.source),
          [subject(n + 1)],
        );
      });

      test("sources are told apart by the prefixes that the policy names", async () => {
        const { traffic, api } = scene();
        const { name, port } = own();
        const prefixes = { ipv4Prefix: 24, ipv6Prefix: 48 };
        await api.putPolicy(name, { ports: [port], maxConnections: 2, countPer: prefixes, ban: { seconds: 60, scope: "ports" } });
        // Networks that no other test uses: 10.8.1.0/24 and 2001:db8:8::/48.
        const [one, two, network] =
          family === 4 ? ["10.8.1.1", "10.8.1.200", "10.8.1.0/24"] : ["2001:db8:8:1::5", "2001:db8:8:2::5", "2001:db8:8::/48"];
        await scene().network.addSources([network]);
        await traffic.hold(one, port);
        await traffic.hold(two, port);
        assert.equal(await traffic.knock(two, port), "refused");
        assert.deepEqual(
          (await api.bans({ policy: name })).map((ban) => ban.address),
          [network],
        );
        assert.equal(await traffic.knock(one, port), "refused");
        await api.deleteBan(network);
        assert.deepEqual(await api.bans({ policy: name }), []);
      });

      test("observe lists who is over the limit and refuses nothing", async () => {
        const { traffic, api } = scene();
        const { name, port, n } = own();
        await api.putPolicy(name, { ports: [port], maxConnections: 1, ban: { seconds: 60 }, mode: "observe" });
        await traffic.hold(source(n), port, 3);
        assert.deepEqual(
          (await api.offenders(name)).map((offender) => [offender.source, offender.bannedUntil]),
          [[subject(n), null]],
        );
        assert.equal(await api.ban(subject(n)), undefined);
        assert.equal(await traffic.knock(source(n), other), "connected");
      });

      test("off is absent from the kernel", async () => {
        const { network, traffic, api } = scene();
        const { name, port, n } = own();
        const inKernel = async () => new RegExp(`\\b${port}\\b`).test(await save(network, setup.backend, family));
        const policy = await api.putPolicy(name, { ports: [port], maxConnections: 1, ban: { seconds: 60 }, mode: "off" });
        assert.deepEqual(policy.enforcement, { state: "off" });
        assert.equal(await inKernel(), false);
        await traffic.hold(source(n), port, 3);

        await api.patchPolicy(name, { mode: "enforce" });
        assert.equal(await inKernel(), true);
        await api.patchPolicy(name, { mode: "off" });
        assert.equal(await inKernel(), false);
        assert.equal(await traffic.knock(source(n), port), "connected");
      });

      test("the refused see what rejectWith says", async () => {
        const { network, traffic, api } = scene();
        for (const rejectWith of ["tcp-reset", "icmp-port-unreachable", "drop"] as const) {
          const { name, port, n } = own();
          await api.putPolicy(name, { ports: [port], maxConnections: 1, ban: { seconds: 60 }, rejectWith });
          await traffic.hold(source(n), port);
          const before = await unreachablesSeen(network, family);
          const outcome = rejectWith === "drop" ? "timeout" : "refused";
          // A port-unreachable may be taken notice of only when it answers the second SYN, after a second.
          const patience = rejectWith === "icmp-port-unreachable" ? 3_000 : 300;
          assert.equal(await traffic.knock(source(n), port, patience), outcome, `${rejectWith}, the connection over the limit`);
          assert.equal(await traffic.knock(source(n), port, patience), outcome, `${rejectWith}, the banned source`);
          assert.equal((await unreachablesSeen(network, family)) > before, rejectWith === "icmp-port-unreachable");
        }
      });
    });
  }
});
