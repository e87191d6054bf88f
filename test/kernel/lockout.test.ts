// Nobody is shut out by mistake: who writes, who is connected over SSH, gateways and the host itself are left alone.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  batchOfBans,
  deleteBan,
  deletePolicy,
  type Foresight,
  mustWrite,
  postBan,
  putBan,
  putPolicy,
  sendWrite,
  withQuery,
} from "../support/foresight.ts";
import { families, forBackends } from "../support/kernel.ts";
import { apiPort, assertLockout, createGuardedScene, type GuardedScene, gateways, sshPort, web } from "./guarded-scene.ts";

const override = { allowLockout: "true" } as const;
const ssh = /which has an SSH connection to this host/;

forBackends((backend) => {
  let scene: GuardedScene;
  before(async () => {
    scene = await createGuardedScene(backend);
  });
  after(() => scene?.dispose());

  for (const one of families) {
    const { family, host, source, subject } = one;
    const [around, wider, tooWide] =
      family === 4 ? ["10.9.0.0/24", "10.9.0.0/17", "64.0.0.0/7"] : ["2001:db8:9::/56", "2001:db8:9::/52", "a000::/15"];
    const justSo = family === 4 ? "64.0.0.0/8" : "a000::/16";
    const [shielded, shield] = family === 4 ? ["10.9.250.7", "10.9.250.0/24"] : ["2001:db8:9:fa07::5", "2001:db8:9:fa00::/56"];

    describe(`over IPv${family}`, () => {
      test("a caller over TCP can't ban its own address or a network around it, nor take the last connection to the API", async () => {
        const caller = scene.remote.from(source(40));
        const own = new RegExp(`${source(40)}, from which this request comes`);
        for (const query of [{}, { dryRun: "true" }]) {
          for (const write of [putBan(source(40)), postBan(source(40)), putBan(around), putBan(wider)])
            await assertLockout(caller, withQuery(write, query), own);
          const batch = batchOfBans([{ address: source(90) }, { address: source(40) }, { address: around }]);
          await assertLockout(caller, withQuery(batch, query), own, "/put/1/address");
          await assertLockout(caller, withQuery(batch, query), own, "/put/2/address");
          const single = { ports: [web, apiPort], maxConnections: 1 };
          await assertLockout(caller, withQuery(putPolicy("api", single), query), new RegExp(`port ${apiPort}.*${own.source}`));
          const observing = withQuery(putPolicy("api", { ...single, mode: "observe" }), { dryRun: "true" });
          assert.equal((await sendWrite(caller, observing)).status, 200);
        }
        const overridden = await sendWrite(caller, withQuery(putBan(source(40)), { ...override, dryRun: "true" }));
        assert.equal(overridden.status, 200);
        assert.match((overridden.body as Foresight).warnings.join(), own);
        // Somebody else is nobody's concern, and over the unix socket there is no caller's address.
        await mustWrite(caller, putBan(source(90)));
        await mustWrite(scene.service, putBan(source(40)));
        await assert.rejects(caller.request("GET", "/v1/policies"), /ECONNRE|timeout|no answer/);
        await mustWrite(scene.service, deleteBan(source(40)));
        assert.equal((await caller.request("GET", "/v1/policies")).status, 200);
      });

      test("a client with an SSH connection can't be banned while it is connected, unless an administrator insists", async () => {
        const { traffic, service } = scene;
        const [held = -1] = await traffic.hold(source(41), sshPort);
        for (const write of [putBan(source(41)), postBan(source(41), { ttlSeconds: 5 }), putBan(around), putBan(subject(41))])
          await assertLockout(service, write, new RegExp(`${source(41)}, ${ssh.source}`));
        await assertLockout(service, batchOfBans([{ address: source(91) }, { address: source(41) }]), ssh, "/put/1/address");
        await mustWrite(service, putBan(source(91)));
        assert.equal(await traffic.send(held), "echoed");

        await mustWrite(service, withQuery(putBan(source(41)), override));
        assert.equal(await traffic.send(held), "reset");
        await mustWrite(service, deleteBan(source(41)));
        await mustWrite(service, putBan(source(41)));
        await mustWrite(service, deleteBan(source(41)));
      });

      test("gateways and the host's own addresses can't be banned, nor networks so wide that they must be a mistake", async () => {
        const { service } = scene;
        await assertLockout(service, putBan(gateways[family]), new RegExp(`${gateways[family]}, a default gateway`));
        await assertLockout(service, putBan(host), new RegExp(`${host}, an address of this host itself`));
        await assertLockout(service, putBan(family === 4 ? "192.0.2.0/24" : "2001:db8::/64"), /gateway.*this host itself/);
        await assertLockout(service, putBan(tooWide), new RegExp(`wider than /${family === 4 ? 8 : 16}`));
        await mustWrite(service, putBan(justSo));
        await mustWrite(service, withQuery(putBan(tooWide), override));
        await mustWrite(service, batchOfBans([], [justSo, tooWide]));
      });

      test("what is protected can't be banned by anybody", async () => {
        const { service, traffic, remote } = scene;
        const containing = family === 4 ? "10.0.0.0/8" : "2001:db8:9::/48";
        for (const caller of [service, remote.from(source(47))]) {
          for (const target of [shielded, shield, containing, family === 4 ? "127.0.0.1" : "::1"]) {
            await assertLockout(caller, putBan(target), /CONNLIMITD_PROTECT/);
            await assertLockout(caller, withQuery(putBan(target), override), /CONNLIMITD_PROTECT/);
          }
          const batch = withQuery(batchOfBans([{ address: source(92) }, { address: shielded }]), override);
          await assertLockout(caller, batch, /CONNLIMITD_PROTECT/, "/put/1/address");
        }
        assert.equal(await traffic.knock(shielded, web), "connected");
      });

      test("a limit can't be set that an SSH client exceeds with the connections that it has now", async () => {
        const { traffic, service } = scene;
        const held = [...(await traffic.hold(source(43), sshPort, 2)), ...(await traffic.hold(source(43), web, 3))];
        const who = new RegExp(`${source(43)}, ${ssh.source}`);
        const refused = (policy: Parameters<typeof putPolicy>[1]) => assertLockout(service, putPolicy("limit", policy), who);
        await refused({ ports: [sshPort], maxConnections: 1 });
        await refused({ ports: [sshPort, web], maxConnections: 4, ban: { seconds: 60, scope: "ports" } });
        await refused({ ports: [web], maxConnections: 2, ban: { seconds: 60, scope: "host" } });
        const wide = { ipv4Prefix: 16, ipv6Prefix: 48 };
        const others = await traffic.hold(source(44), web, 2);
        await refused({ ports: [web], maxConnections: 4, ban: { seconds: 60 }, countPer: wide });
        for (const policy of [
          { ports: [sshPort], maxConnections: 2 },
          // Neither SSH nor the host is refused by these.
          { ports: [web], maxConnections: 2 },
          { ports: [web], maxConnections: 2, ban: { seconds: 60, scope: "ports" } as const },
          { ports: [web], maxConnections: 2, ban: { seconds: 60 }, exempt: [subject(43)] },
          { ports: [web], maxConnections: 2, ban: { seconds: 60 }, mode: "observe" } as const,
        ]) {
          await mustWrite(service, putPolicy("limit", policy));
          await mustWrite(service, deletePolicy("limit"));
        }
        await mustWrite(service, withQuery(putPolicy("limit", { ports: [sshPort], maxConnections: 1 }), override));
        for (const connection of held) assert.equal(await traffic.send(connection), "echoed");
        await mustWrite(service, deletePolicy("limit"));
        await traffic.close([...held, ...others]);
      });
    });
  }
});
