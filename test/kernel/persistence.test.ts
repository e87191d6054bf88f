// What was acknowledged is there again: after a SIGKILL, after a reboot, and after a SIGKILL in the middle of writes.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Api, banPath, type PolicyResource } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { families, forBackendsSideBySide, save } from "../support/kernel.ts";
import { createScene, type Scene } from "../support/scene.ts";
import { shareScene } from "../support/shared-scenes.ts";

const ports = [4601, 4602, 4603];

/** Policies in every mode, and operator bans with and without a time. */
async function write({ api }: Scene): Promise<void> {
  await api.putPolicy("web", {
    ports: [4601],
    maxConnections: 1,
    ban: { seconds: 60 },
    description: "one app node must not starve the others",
  });
  await api.putPolicy("watched", {
    ports: [4602],
    maxConnections: 1,
    ban: { seconds: 60 },
    mode: "observe",
    exempt: ["10.9.7.0/24"],
  });
  await api.putPolicy("shelved", { ports: [4603], maxConnections: 1, mode: "off" });
  await api.putPolicy("gone", { ports: [4603], maxConnections: 1 });
  await api.deletePolicy("gone");
  for (const { source } of families) {
    await api.putBan(source(1), { reason: 'for good: "quotes", `ticks`, $(id), 🚦' });
    await api.putBan(source(2), { ttlSeconds: 3_600 });
    await api.putBan(source(3), { expiresAt: new Date(Date.now() + 7_200_000).toISOString() });
    await api.putBan(source(4));
    await api.deleteBan(source(4));
  }
}

async function acknowledged(api: Api): Promise<unknown> {
  const withoutSince = ({ enforcement: { state }, ...policy }: PolicyResource) => ({ ...policy, state });
  return { policies: (await api.policies()).map(withoutSince), bans: await api.bans({ by: "operator" }) };
}

/** The bans refuse, the policy limits, the rest works. */
async function assertInForce({ traffic }: Scene, offender: number): Promise<void> {
  for (const { source } of families) {
    for (const banned of [1, 2, 3]) assert.equal(await traffic.knock(source(banned), 4603), "refused");
    assert.equal(await traffic.knock(source(4), 4603), "connected");
    const from = source(offender);
    await traffic.hold(from, 4601);
    assert.equal(await traffic.knock(from, 4601), "refused");
  }
}

forBackendsSideBySide((backend) => {
  describe("one after another", { concurrency: 1 }, () => {
    const scene = shareScene({ backend, ports });

    test("a ban whose time ran out while the service was down is gone when it is back", async () => {
      const { api, service, traffic } = scene();
      for (const { source } of families) await api.putBan(source(5), { ttlSeconds: 1 });
      const acknowledgedAt = Date.now();
      await service.kill();
      await eventually("the time has run out", () => Date.now() - acknowledgedAt > 1_000);
      await service.restart();
      assert.deepEqual(await api.bans(), []);
      for (const { source } of families) assert.equal(await traffic.knock(source(5), 4603), "connected");
    });

    test("a SIGKILL in the middle of many writes loses nothing that was acknowledged", async () => {
      const { api, service, traffic } = scene();
      const bans = new Set<string>();
      const policies = new Set<string>();
      const write = async (method: string, path: string, body: unknown, note: () => void): Promise<void> => {
        const answer = await service.request(method, path, body).catch(() => undefined);
        if (answer?.status === 201) note();
        if (bans.size + policies.size >= 25) await service.kill();
      };
      await Promise.all(
        Array.from({ length: 60 }, (_, index) => {
          const address = families[index % 2]?.source(100 + index) ?? "";
          const name = `policy-${index}`;
          return index % 6 === 5
            ? write("PUT", `/v1/policies/${name}`, { ports: [7_000 + index], maxConnections: 2 }, () => policies.add(name))
            : write("PUT", banPath(address), {}, () => bans.add(address));
        }),
      );
      await service.restart();
      const listed = new Map((await api.bans()).map((ban) => [ban.address, ban.enforced]));
      for (const address of bans) {
        assert.equal(listed.get(address), true, `${address} was acknowledged`);
        assert.equal(await traffic.knock(address, 4603), "refused");
      }
      const states = new Map((await api.policies()).map((policy) => [policy.name, policy.enforcement.state]));
      for (const name of policies) assert.equal(states.get(name), "enforced", `${name} was acknowledged`);
    });

    test("a SIGKILL and a restart bring back exactly what was acknowledged", async () => {
      const { api, service, network } = scene();
      await write(scene());
      const before = await acknowledged(api);
      const rules = await Promise.all(families.map(({ family }) => save(network, backend, family)));

      await service.kill();
      assert.deepEqual(await Promise.all(families.map(({ family }) => save(network, backend, family))), rules);
      await service.restart();
      assert.deepEqual(await acknowledged(api), before);
      assert.deepEqual(await Promise.all(families.map(({ family }) => save(network, backend, family))), rules);
      await assertInForce(scene(), 20);
    });

    test("a reboot brings back exactly what was acknowledged, though the kernel has forgotten everything", async () => {
      const { api, service } = scene();
      await write(scene());
      const before = await acknowledged(api);
      await service.kill();
      await using rebooted = await createScene({ backend, ports, stateDirectory: service.stateDirectory });
      assert.deepEqual(await acknowledged(rebooted.api), before);
      await assertInForce(rebooted, 21);
    });
  });
});
