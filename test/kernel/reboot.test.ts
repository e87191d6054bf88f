// Bans that the kernel made survive what the kernel does not: a reboot, and a time in which the service was down.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import { families, forSetupsSideBySide } from "../support/kernel.ts";
import { createScene, type Scene } from "../support/scene.ts";
import { flushesOn } from "./flushes.ts";

const [lasting, scoped, ending, other] = [5400, 5401, 5402, 5403];
const ports = [lasting, scoped, ending, other];
const seconds = 60;

/** The ban of `source` ends at `end` (milliseconds since the epoch), up to a second earlier and not later. */
async function assertEnds({ traffic, api }: Scene, source: string, end: number): Promise<void> {
  const isFree = async () => (await traffic.knock(source, other)) === "connected" && Date.now();
  const listed = (await api.bans({ covers: source })).map((ban) => ban.expiresAt);
  assert.ok(Date.now() < end - 1_200, `looked at too late by ${Date.now() - end} ms to tell when the ban of ${source} ends`);
  // A knock every 30 ms for all that time would take the CPU that other scenes need.
  await eventually("the end comes near", () => Date.now() > end - 1_800, { within: 75_000 });
  assert.equal(await isFree(), false, `the ban of ${source} ended too early`);
  const ended = await eventually(`the ban of ${source} ends`, isFree, { within: 60_000, every: 30 });
  assert.ok(
    ended - end < 250 && ended - end > -1_200,
    `it ended ${ended - end} ms after ${new Date(end).toISOString()}; then listed till ${listed}`,
  );
}

forSetupsSideBySide((setup) => {
  test("after a reboot, and after a flush while the service was down, bans that the kernel had made are back, and end when they would have", async () => {
    await withDirectory(async (stateDirectory) => {
      const before = new Map<string, number>();
      const offenders = families.map(({ source }) => source(1));
      {
        await using scene = await createScene({ ...setup, ports, stateDirectory });
        const { api, traffic, service } = scene;
        await api.putPolicy("lasting", { ports: [lasting], maxConnections: 1, ban: { seconds: 600 } });
        await api.putPolicy("scoped", { ports: [scoped], maxConnections: 1, ban: { seconds: 600, scope: "ports" } });
        await api.putPolicy("ending", { ports: [ending], maxConnections: 1, ban: { seconds } });
        for (const { source } of families) {
          await traffic.exceed([source(1)], lasting, 1);
          await traffic.exceed([source(2)], scoped, 1);
          await traffic.exceed([source(3)], ending, 1);
        }
        await eventually("all are listed", async () => (await api.bans({ by: "policy" })).length === 6);
        for (const ban of await api.bans()) before.set(ban.address, Date.parse(ban.expiresAt ?? ""));
        const listedAt = Date.now();
        await eventually("they have been stored", () => Date.now() - listedAt > 500);
        await service.kill();
      }
      await using scene = await createScene({ ...setup, ports, stateDirectory });
      const { api, traffic, service, network } = scene;
      assert.deepEqual(Object.keys(await traffic.knockAll(offenders, other)), ["refused"]);
      const scopedSources = families.map(({ source }) => source(2));
      assert.deepEqual(Object.keys(await traffic.knockAll(scopedSources, scoped)), ["refused"]);
      assert.deepEqual(Object.keys(await traffic.knockAll(scopedSources, other)), ["connected"]);
      const after = new Map((await api.bans()).map((ban) => [ban.address, ban]));
      assert.deepEqual([...after.keys()], [...before.keys()]);
      for (const [address, end] of before) {
        const ban = after.get(address);
        assert.ok(ban?.enforced, address);
        const later = Date.parse(ban.expiresAt ?? "") - end;
        assert.ok(later <= 200 && later >= -1_000, `${address} ends ${later} ms later`);
      }
      // Once more, with a flush in between and the service down.
      await service.kill();
      await flushesOn(setup.backend, setup).at(-1)?.run(network);
      assert.deepEqual(Object.keys(await traffic.knockAll(offenders, other)), ["connected"]);
      await service.restart();
      assert.deepEqual(Object.keys(await traffic.knockAll(offenders, other)), ["refused"]);
      assert.ok((await api.bans({ policy: "lasting" })).every((ban) => ban.enforced));
      await Promise.all(families.map(({ subject, source }) => assertEnds(scene, source(3), before.get(subject(3)) ?? 0)));
    });
  });
});
