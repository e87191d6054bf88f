import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { KernelBan } from "../../src/domain/ban.ts";
import { createScene } from "./reconciler-scene.ts";

async function started() {
  const scene = createScene();
  await scene.reconciler.start();
  return scene;
}

function kernelBan(address: string, different: Partial<KernelBan> = {}): KernelBan {
  return { home: "cld4-h32ro-all", address, policies: ["mysql"], since: 1000, expiresAt: Date.UTC(2027, 0, 1), ...different };
}

describe("a glance", () => {
  test("comes ten times a second, and makes no pass while nothing happened", async () => {
    const scene = await started();
    const before = scene.firewall.glances;
    await scene.pass(1900);
    assert.ok(scene.firewall.glances - before >= 19);
    assert.deepEqual(scene.kinds(), ["rules"]);
  });

  test("that sees a flush has the rules put right within 100 ms, and says what was found", async () => {
    const scene = await started();
    await scene.pass(500);
    scene.firewall.see({ flushed: true });
    scene.firewall.report({ writes: 40, found: ["IPv4: chain CLD-INPUT missing"] });
    await scene.pass(100);
    assert.deepEqual(scene.kinds(), ["rules", "rules"]);
    assert.equal(scene.reconciler.repairs().count, 1);
    assert.equal(scene.logged.length, 1);
  });

  test("that sees activity has the bans read, and not the rules", async () => {
    const scene = await started();
    await scene.pass(500);
    scene.firewall.see({ activity: true });
    await scene.pass(100);
    assert.deepEqual(scene.kinds(), ["rules", "bans"]);
    assert.equal(scene.reconciler.repairs().count, 0);
  });

  test("that sees activity without end has the bans read five times a second at most", async () => {
    const scene = await started();
    scene.firewall.see({ activity: true }, true);
    await scene.pass(2000);
    const readings = scene.kinds().filter((kind) => kind === "bans").length;
    assert.ok(readings >= 6 && readings <= 10, `${readings}`);
  });

  test("makes no pass of its own while one runs, or while passes fail", async () => {
    const scene = await started();
    const end = scene.firewall.hold();
    scene.ask("rules");
    await scene.turns();
    scene.firewall.see({ flushed: true }, true);
    await scene.pass(1000);
    assert.equal(scene.kinds().length, 2);
    scene.firewall.fail(new Error("the lock is held"));
    end();
    await scene.pass(10_000);
    const before = scene.kinds().length;
    await scene.pass(900);
    assert.ok(scene.kinds().length - before <= 1);
  });

  test("sees what the first pass left undone", async () => {
    const scene = createScene();
    scene.firewall.see({ flushed: true }, true);
    await scene.reconciler.start();
    await scene.turns();
    assert.deepEqual(scene.kinds(), ["rules", "rules"]);
  });
});

describe("bans that the kernel made by itself", () => {
  test("are stored as they are seen, and forgotten when they are gone", async () => {
    const scene = await started();
    const [one, other] = [kernelBan("192.0.2.1"), kernelBan("192.0.2.2")];
    scene.firewall.report({ kernelBans: [one, other] });
    scene.firewall.see({ activity: true });
    await scene.pass(200);
    assert.deepEqual(scene.store.kernelBans(), [one, other]);
    scene.firewall.report({ kernelBans: [other] });
    scene.firewall.see({ activity: true });
    await scene.pass(300);
    assert.deepEqual(scene.store.kernelBans(), [other]);
  });

  test("are stored without what only the firewall knows about them", async () => {
    const scene = await started();
    const seen = { ...kernelBan("192.0.2.1"), present: true, lastSeenAt: 5 };
    scene.firewall.report({ kernelBans: [seen] });
    scene.ask("bans");
    await scene.turns();
    assert.deepEqual(scene.store.kernelBans(), [kernelBan("192.0.2.1")]);
  });

  test("are written to the store only when they changed", async () => {
    const scene = await started();
    const ban = kernelBan("192.0.2.1");
    scene.firewall.report({ kernelBans: [ban] });
    await scene.pass(10_000);
    assert.equal(scene.store.transactions, 1);
    for (const change of [{ expiresAt: ban.expiresAt + 500 }, { since: 2000 }, { policies: ["mysql", "web"] }]) {
      const before: number = scene.store.transactions;
      scene.firewall.report({ kernelBans: [{ ...ban, ...change }] });
      await scene.pass(4000);
      assert.equal(scene.store.transactions, before + 1);
      assert.deepEqual(scene.store.kernelBans(), [{ ...ban, ...change }]);
    }
  });

  test("of one address in several homes are several", async () => {
    const scene = await started();
    const both = [kernelBan("192.0.2.1"), kernelBan("192.0.2.1", { home: "cld4-p32-web", policies: ["web"] })];
    scene.firewall.report({ kernelBans: both });
    scene.ask("bans");
    await scene.turns();
    assert.equal(scene.store.kernelBans().length, 2);
  });

  test("whose ends are known to a second only are read again soon, until they are known better", async () => {
    const scene = await started();
    scene.firewall.report({ imprecise: true });
    scene.ask("bans");
    await scene.turns();
    await scene.pass(1100);
    assert.deepEqual(scene.kinds().slice(2), ["fresh-bans", "fresh-bans", "fresh-bans"]);
    scene.firewall.report({});
    await scene.pass(400);
    const [readings, start] = [() => scene.kinds().filter((kind) => kind === "fresh-bans").length, scene.now()];
    const before = readings();
    await scene.pass(1500);
    assert.deepEqual([readings(), scene.now() - start], [before, 1500]);
  });

  test("and that it does not end by itself are ended in time", async () => {
    const scene = await started();
    const end = scene.now() + 1200;
    scene.firewall.report({ nextEnd: end });
    scene.ask("bans");
    await scene.turns();
    scene.firewall.report({});
    await scene.pass(1199);
    assert.deepEqual(scene.kinds(), ["rules", "bans"]);
    await scene.pass(1);
    assert.deepEqual(scene.kinds(), ["rules", "bans", "bans"]);
  });

  test("and that it does not end by itself are ended by the next glance when the wall clock jumps over their end", async () => {
    const scene = await started();
    scene.firewall.report({ nextEnd: scene.now() + 3_600_000 });
    scene.ask("bans");
    await scene.turns();
    scene.firewall.report({});
    scene.setWallClock(3_600_000);
    await scene.pass(100);
    assert.deepEqual(scene.kinds(), ["rules", "bans", "bans"]);
  });
});

describe("a lift", () => {
  test("is made by the pass that it was asked for, and deleted from the store after it", async () => {
    const scene = await started();
    scene.store.putLifts("192.0.2.1", "192.0.2.2");
    const end = scene.firewall.hold();
    const asked = scene.ask("bans");
    await scene.turns();
    assert.deepEqual(scene.lastDesired()?.lifts, ["192.0.2.1", "192.0.2.2"]);
    assert.deepEqual(scene.store.lifts(), ["192.0.2.1", "192.0.2.2"]);
    end();
    await scene.turns();
    assert.deepEqual([asked.answer, scene.store.lifts()], [true, []]);
    scene.ask("bans");
    await scene.turns();
    assert.deepEqual(scene.lastDesired()?.lifts, []);
  });

  test("that an earlier process did not get to is made by the first pass", async () => {
    const scene = createScene();
    scene.store.putLifts("192.0.2.1");
    await scene.reconciler.start();
    assert.deepEqual([scene.lastDesired()?.lifts, scene.store.lifts()], [["192.0.2.1"], []]);
  });

  test("that is asked for anew while the pass runs that makes it is made by the next one too", async () => {
    const scene = await started();
    scene.store.putLifts("192.0.2.1");
    const end = scene.firewall.hold();
    scene.ask("bans");
    await scene.turns();
    scene.store.putLifts("192.0.2.1");
    const again = scene.ask("bans");
    end();
    await scene.turns();
    assert.equal(again.answer, true);
    assert.deepEqual(scene.lastDesired()?.lifts, ["192.0.2.1"]);
    assert.deepEqual(scene.store.lifts(), []);
  });

  test("is made once, however many others write meanwhile", async () => {
    const scene = await started();
    scene.store.putLifts("192.0.2.1");
    scene.ask("bans");
    for (let write = 0; write < 5; write += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      scene.ask("bans");
    }
    await scene.turns();
    await scene.turns();
    const lifting = scene.firewall.passes.filter(({ desired }) => desired.lifts.length > 0);
    assert.equal(lifting.length, 1);
  });
});
