// Stop, start and purge: protection does not end because the service does, and start writes only what differs.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { withDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import { type Backend, families, forBackendsSideBySide, program, save } from "../support/kernel.ts";
import type { Network } from "../support/namespaces.ts";
import { createScene, type Scene } from "../support/scene.ts";

const [limited, other] = [4701, 4702];
const ports = [limited, other];

function saveAll(network: Network, backend: Backend): Promise<readonly string[]> {
  return Promise.all(families.map(({ family }) => save(network, backend, family)));
}

/** Source 1 is at the limit of a policy, source 2 banned by the kernel, source 3 by an operator. */
async function prepareSources({ api, traffic }: Scene): Promise<void> {
  await api.putPolicy("limited", { ports: [limited], maxConnections: 2, ban: { seconds: 600 } });
  for (const { source } of families) {
    await traffic.hold(source(1), limited, 2);
    await traffic.hold(source(2), limited, 2);
    assert.equal(await traffic.knock(source(2), limited), "refused");
    await api.putBan(source(3));
  }
}

forBackendsSideBySide((backend) => {
  test("stopping ends with 0, leaves every rule and list, and what they do", async () => {
    await using scene = await createScene({ backend, ports });
    const { network, service, traffic } = scene;
    await prepareSources(scene);
    const before = await saveAll(network, backend);
    assert.equal(await service.stop(), 0);
    assert.deepEqual(await saveAll(network, backend), before);
    for (const { source } of families) {
      for (const refused of [2, 3]) assert.equal(await traffic.knock(source(refused), other), "refused");
      assert.equal(await traffic.knock(source(1), other), "connected");
      assert.equal(await traffic.knock(source(1), limited), "refused");
    }
  });

  for (const [how, end] of [
    ["a stop", (scene: Scene) => scene.service.stop()],
    ["a SIGKILL", (scene: Scene) => scene.service.kill()],
  ] as const) {
    test(`a start after ${how} finds its rules in place and writes nothing: counts and bans go on`, async () => {
      await using scene = await createScene({ backend, ports });
      const { network, service, traffic, api } = scene;
      await prepareSources(scene);
      const before = await saveAll(network, backend);
      const bans = await api.bans();
      await end(scene);
      await service.restart();
      assert.deepEqual(await saveAll(network, backend), before);
      const kept = (await api.bans()).map((ban) => [ban.address, ban.causes.map((cause) => cause.by)]);
      assert.deepEqual(
        kept,
        bans.map((ban) => [ban.address, ban.causes.map((cause) => cause.by)]),
      );
      for (const { source } of families) {
        for (const refused of [2, 3]) assert.equal(await traffic.knock(source(refused), other), "refused");
        assert.equal(await traffic.knock(source(1), limited), "refused", "its two connections are still counted");
      }
    });
  }

  test("a stop in the middle of an iptables command finishes what is in flight, and ends with 0", async () => {
    await withDirectory(async (directory) => {
      const running = join(directory, "running");
      for (const name of families.map(({ family }) => program(backend, family, "-save"))) {
        const slow = `#!/bin/sh\ntouch ${running}\nsleep 0.1\nPATH=$PATH_AS_IT_WAS exec ${name} "$@"\n`;
        await writeFile(join(directory, name), slow, { mode: 0o755 });
      }
      const path = process.env["PATH"] ?? "";
      await using scene = await createScene({ backend, ports, env: { PATH: `${directory}:${path}`, PATH_AS_IT_WAS: path } });
      const { service, api } = scene;
      await rm(running);
      const write = service.request("PUT", "/v1/policies/in-flight", { ports: [limited], maxConnections: 2 });
      await eventually("a command runs", () => existsSync(running), { every: 2 });
      const code = await service.stop();
      assert.equal((await write).status, 201);
      assert.equal(code, 0);

      await service.restart();
      assert.deepEqual(
        (await api.policies()).map((policy) => [policy.name, policy.enforcement.state]),
        [["in-flight", "enforced"]],
      );
    });
  });

  test("purge removes every chain and list of its own", async () => {
    await using scene = await createScene({ backend, ports });
    const { network, service, traffic } = scene;
    await prepareSources(scene);
    await service.stop();
    const purged = await service.purge();
    assert.equal(purged.code, 0, purged.stderr);
    for (const text of await saveAll(network, backend)) assert.doesNotMatch(text, /CLD-|cld[46]-/);
    assert.equal(await network.exec("host", "ls", ["/proc/net/xt_recent"]), "");
    for (const { source } of families) {
      for (const from of [1, 2, 3]) assert.equal(await traffic.knock(source(from), limited), "connected");
    }
    const again = await service.purge();
    assert.equal(again.code, 0, "nothing to do is no failure");
  });

  test("two backends in one kernel stay apart: a service on one leaves the other's tables empty", async () => {
    await using scene = await createScene({ backend, ports });
    await prepareSources(scene);
    for (const text of await saveAll(scene.network, backend === "nft" ? "legacy" : "nft")) assert.doesNotMatch(text, /^-A/m);
  });
});
