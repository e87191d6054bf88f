// Stop, start and purge: protection does not end because the service does, and start writes only what differs.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { BanResource } from "../support/api.ts";
import { withDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import { type Backend, families, forBackendsSideBySide, program, save } from "../support/kernel.ts";
import type { Network } from "../support/namespaces.ts";
import { createScene, type Scene } from "../support/scene.ts";
import type { Service } from "../support/service.ts";
import { shareScene } from "../support/shared-scenes.ts";

const [limited, other] = [4701, 4702];
const ports = [limited, other];

function saveAll(network: Network, backend: Backend): Promise<readonly string[]> {
  return Promise.all(families.map(({ family }) => save(network, backend, family)));
}

/** Four sources of both families: two at the limit of a policy, one banned by the kernel, one by an operator. */
interface Sources {
  readonly limited: number;
  readonly limitedToo: number;
  readonly banned: number;
  readonly byOperator: number;
}

/** @param first the number of the first source, of which a test has four to itself */
async function prepareSources({ api, traffic }: Scene, first: number): Promise<Sources> {
  await api.putPolicy("limited", { ports: [limited], maxConnections: 2, ban: { seconds: 600 } });
  for (const { source } of families) {
    await traffic.hold(source(first), limited, 2);
    await traffic.hold(source(first + 3), limited, 2);
    await traffic.hold(source(first + 1), limited, 2);
    assert.equal(await traffic.knock(source(first + 1), limited), "refused");
    await api.putBan(source(first + 2));
  }
  return { limited: first, limitedToo: first + 3, banned: first + 1, byOperator: first + 2 };
}

/** @param atLimit who is at the limit, and is banned when he tries once more */
async function assertInForce({ traffic }: Scene, sources: Sources, atLimit: number): Promise<void> {
  for (const { source } of families) {
    for (const refused of [sources.banned, sources.byOperator])
      assert.equal(await traffic.knock(source(refused), other), "refused");
    assert.equal(await traffic.knock(source(atLimit), other), "connected");
    assert.equal(await traffic.knock(source(atLimit), limited), "refused", "its two connections are still counted");
  }
}

forBackendsSideBySide((backend) => {
  describe("with limits and bans in the kernel", { concurrency: 1 }, () => {
    const scene = shareScene({ backend, ports });

    for (const [first, how, end] of [
      [20, "a stop", async (service: Service) => assert.equal(await service.stop(), 0)],
      [30, "a SIGKILL", (service: Service) => service.kill()],
    ] as const) {
      test(`${how} leaves every rule and list, and what they do; a start finds them and writes nothing: counts and bans go on`, async () => {
        const { network, service, api } = scene();
        const sources = await prepareSources(scene(), first);
        const before = await saveAll(network, backend);
        const bans = await api.bans();
        await end(service);
        assert.deepEqual(await saveAll(network, backend), before);
        await assertInForce(scene(), sources, sources.limited);
        await service.restart();
        assert.deepEqual(await saveAll(network, backend), before);
        const causes = ({ address, causes }: BanResource) => [address, causes.map(({ by }) => by)];
        const meanwhile = new Set(families.map(({ subject }) => subject(sources.limited)));
        const after = await api.bans();
        assert.deepEqual(after.filter(({ address }) => !meanwhile.has(address)).map(causes), bans.map(causes));
        assert.equal(after.length, bans.length + meanwhile.size, "and those whom the kernel banned while it was down");
        await assertInForce(scene(), sources, sources.limitedToo);
      });
    }

    test("two backends in one kernel stay apart: a service on one leaves the other's tables empty", async () => {
      await prepareSources(scene(), 40);
      for (const text of await saveAll(scene().network, backend === "nft" ? "legacy" : "nft")) assert.doesNotMatch(text, /^-A/m);
    });

    test("purge removes every chain and list of its own", async () => {
      const { network, service, traffic } = scene();
      const sources = await prepareSources(scene(), 50);
      await service.stop();
      const purged = await service.purge();
      assert.equal(purged.code, 0, purged.stderr);
      for (const text of await saveAll(network, backend)) assert.doesNotMatch(text, /CLD-|cld[46]-/);
      assert.equal(await network.exec("host", "ls", ["/proc/net/xt_recent"]), "");
      for (const { source } of families) {
        for (const from of Object.values(sources)) assert.equal(await traffic.knock(source(from), limited), "connected");
      }
      const again = await service.purge();
      assert.equal(again.code, 0, "nothing to do is no failure");
    });
  });

  test("a stop in the middle of an iptables command, also one of the start, finishes what is in flight, and ends with 0", async () => {
    await withDirectory(async (directory) => {
      const running = join(directory, "running");
      for (const name of families.map(({ family }) => program(backend, family, "-restore"))) {
        const slowly = `while IFS= read -r line; do [ "$line" = COMMIT ] && touch ${running} && sleep 0.1; printf '%s\\n' "$line"; done`;
        const slow = `#!/bin/sh\nPATH=$PATH_AS_IT_WAS\n${slowly} | ${name} "$@"\n`;
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

      await service.stop();
      assert.equal((await service.purge()).code, 0);
      await rm(running);
      const starting = service.restart();
      // It may wait for its turn: only so many services start at the same time.
      await eventually("a command of the start runs", () => existsSync(running), { within: 120_000, every: 5 });
      service.signal("SIGTERM");
      await assert.rejects(starting, /it ended with exit code 0/);
      for (const text of await saveAll(scene.network, backend)) assert.match(text, /^-A CLD-P-in-flight /m);
    });
  });
});
