import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DomainError } from "../../src/domain/errors.ts";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { sampleOperatorBan } from "../support/samples.ts";
import { createScene } from "./reconciler-scene.ts";

const delayed = new EnforcementDelayed("the lock is held");

/** A service that is in step, and whose kernel can't be reached from now on. */
async function createFailing() {
  const scene = createScene();
  await scene.reconciler.start();
  scene.firewall.fail(delayed);
  return scene;
}

describe("while the kernel can't be reached", () => {
  test("a request is answered with false after 1.7 seconds, and not before", async () => {
    const scene = await createFailing();
    const asked = scene.ask("rules");
    await scene.turns();
    await scene.pass(1699);
    assert.equal(asked.answer, undefined);
    await scene.pass(1);
    assert.equal(asked.answer, false);
  });

  test("a request is answered with false after 1.7 seconds although its pass still runs", async () => {
    const scene = await createFailing();
    const end = scene.firewall.hold();
    const asked = scene.ask("rules");
    await scene.turns();
    await scene.pass(1700);
    assert.equal(asked.answer, false);
    end();
    await scene.turns();
  });

  test("the service tries again after 25 ms, then twice as long each time, up to a second", async () => {
    const scene = await createFailing();
    scene.ask("rules");
    await scene.turns();
    for (const delay of [25, 50, 100, 200, 400, 800, 1000, 1000]) {
      const before = scene.kinds().length;
      await scene.pass(delay - 1);
      assert.equal(scene.kinds().length, before);
      await scene.pass(1);
      assert.equal(scene.kinds().length, before + 1);
    }
  });

  test("each try is a look at the rules, whatever the request was about, and makes the lifts", async () => {
    const scene = await createFailing();
    scene.store.putLifts("192.0.2.1");
    scene.ask("bans");
    await scene.turns();
    await scene.pass(25);
    await scene.pass(50);
    assert.deepEqual(scene.kinds(), ["rules", "bans", "rules", "rules"]);
    assert.deepEqual([scene.lastDesired()?.lifts, scene.store.lifts()], [["192.0.2.1"], ["192.0.2.1"]]);
  });

  test("the reason is told, and logged once", async () => {
    const scene = await createFailing();
    scene.ask("rules");
    await scene.turns();
    await scene.pass(10_000);
    assert.deepEqual([scene.reconciler.inStep(), scene.reconciler.failure()], [false, "the lock is held"]);
    assert.equal(scene.logged.length, 1);
    assert.deepEqual([scene.logged[0]?.level, scene.logged[0]?.details], ["warn", { reason: "the lock is held" }]);
  });

  test("something else than an error is told as well", async () => {
    const scene = await createFailing();
    scene.firewall.fail("out of order");
    await scene.pass(2000);
    assert.equal(scene.reconciler.failure(), "out of order");
  });
});

describe("when the kernel can be reached again", () => {
  test("the service is in step, says so once, and those who still wait are answered with true", async () => {
    const scene = await createFailing();
    const asked = scene.ask("rules");
    await scene.turns();
    await scene.pass(25);
    scene.firewall.fail(undefined);
    await scene.pass(50);
    assert.deepEqual([asked.answer, scene.reconciler.inStep(), scene.reconciler.failure()], [true, true, null]);
    assert.deepEqual(scene.logged.at(-1), { level: "info", details: { failures: 2 }, message: "the kernel is in step again" });
    await scene.pass(2000);
    assert.equal(scene.logged.length, 2);
  });

  test("the lifts of those who were answered with false are made all the same", async () => {
    const scene = await createFailing();
    scene.store.putLifts("192.0.2.1");
    const asked = scene.ask("bans");
    await scene.turns();
    await scene.pass(2000);
    assert.equal(asked.answer, false);
    scene.firewall.fail(undefined);
    await scene.pass(2000);
    assert.ok(scene.firewall.passes.at(-1)?.kind === "rules");
    assert.deepEqual(scene.store.lifts(), []);
  });

  test("a new request does not wait for the next try", async () => {
    const scene = await createFailing();
    await scene.pass(2000);
    scene.firewall.fail(undefined);
    const asked = scene.ask("bans");
    await scene.turns();
    assert.equal(asked.answer, true);
    assert.equal(scene.kinds().at(-1), "rules");
  });
});

test("what is asked while a failing pass runs is made by the next try, together with what failed", async () => {
  const scene = await createFailing();
  const end = scene.firewall.hold();
  scene.store.putLifts("192.0.2.1");
  const first = scene.ask("bans");
  await scene.turns();
  scene.store.putLifts("192.0.2.2");
  const second = scene.ask("bans");
  end();
  await scene.turns();
  scene.firewall.fail(undefined);
  await scene.pass(25);
  assert.deepEqual([first.answer, second.answer], [true, true]);
  assert.deepEqual(scene.lastDesired()?.lifts, ["192.0.2.1", "192.0.2.2"]);
});

test("a pass that failed after a long time is tried again at once", async () => {
  const scene = await createFailing();
  const end = scene.firewall.hold();
  scene.ask("rules");
  await scene.turns();
  await scene.pass(1500);
  end();
  await scene.turns();
  await scene.pass(25);
  assert.equal(scene.kinds().length, 3);
});

test("a pass that does not come to an end is a failure until it does", async () => {
  const scene = createScene();
  await scene.reconciler.start();
  const end = scene.firewall.hold();
  scene.ask("rules");
  await scene.turns();
  await scene.pass(2450);
  assert.equal(scene.reconciler.failure(), null);
  await scene.pass(50);
  assert.match(scene.reconciler.failure() ?? "", /has been running for 2 s/);
  assert.equal(scene.reconciler.inStep(), false);
  end();
  await scene.turns();
  assert.equal(scene.reconciler.failure(), null);
});

test("a request whose caller has waited already is answered that much earlier, yet has a moment for its pass", async () => {
  const scene = createScene();
  await scene.reconciler.start();
  scene.firewall.fail(delayed);
  for (const [waited, left] of [
    [1000, 700],
    [5000, 100],
  ] as const) {
    await scene.pass(waited);
    const asked = scene.ask("rules", waited);
    await scene.turns();
    await scene.pass(left - 1);
    assert.equal(asked.answer, undefined);
    await scene.pass(1);
    assert.equal(asked.answer, false);
  }
});

test("a look at the lists that fails is a matter for a pass", async () => {
  const scene = createScene();
  await scene.reconciler.start();
  scene.firewall.failGlances(new Error("the lists can't be used"));
  await scene.pass(100);
  assert.deepEqual(scene.kinds(), ["rules", "rules"]);
});

test("a store that can't write off an ended ban holds no pass up and makes none, and a later one makes up for it", async () => {
  const scene = createScene();
  await scene.reconciler.start();
  scene.store.putBans(sampleOperatorBan({ address: "192.0.2.1", expiresAt: scene.now() + 500 }));
  scene.ask("bans");
  await scene.turns();
  scene.store.failTransactions(new Error("the disk is full"));
  await scene.pass(500);
  const before = scene.kinds().length;
  assert.deepEqual([scene.reconciler.failure(), scene.lastDesired()?.operatorBans], [null, []]);
  await scene.pass(10_000);
  assert.ok(scene.kinds().length - before <= 5, `${scene.kinds().length - before}`);
  scene.store.failTransactions(undefined);
  await scene.pass(2000);
  assert.deepEqual([scene.reconciler.failure(), scene.store.operatorBans()], [null, []]);
});

describe("a store that can't write down the bans that the kernel made", () => {
  const ban = { home: "cld4-h32ro-all", address: "192.0.2.1", policies: ["mysql"], since: 1, expiresAt: Date.UTC(2027, 0, 1) };

  async function createUnrecorded() {
    const scene = createScene();
    await scene.reconciler.start();
    scene.firewall.report({ kernelBans: [ban] });
    scene.store.failTransactions(new Error("the disk is full"));
    return scene;
  }

  test("leaves the kernel in step and those who wait answered, and is asked again without haste", async () => {
    const scene = await createUnrecorded();
    const asked = scene.ask("bans");
    await scene.turns();
    assert.deepEqual([asked.answer, scene.reconciler.inStep()], [true, true]);
    await scene.pass(10_000);
    assert.ok(scene.store.transactions <= 10, `${scene.store.transactions}`);
    scene.store.failTransactions(undefined);
    await scene.pass(2000);
    assert.deepEqual(scene.store.kernelBans(), [ban]);
  });

  test("is logged once", async () => {
    const scene = await createUnrecorded();
    await scene.pass(20_000);
    assert.deepEqual(
      scene.logged.map(({ level, details }) => [level, details]),
      [["warn", { reason: "Error: the disk is full" }]],
    );
  });
});

describe("rules that the kernel refuses", () => {
  const refusal = new DomainError("kernel-refused", "iptables-restore refuses: line 3 failed");

  test("are the error of those who asked for rules, at once", async () => {
    const scene = await createFailing();
    scene.firewall.fail(refusal);
    const asked = [scene.ask("rules"), scene.ask("bans")];
    await scene.turns();
    assert.deepEqual(
      asked.map((one) => one.answer),
      [refusal, undefined],
    );
    await scene.pass(1700);
    assert.equal(asked[1]?.answer, false);
  });

  test("are the error of nobody who asks when they are mended, and of nobody twice", async () => {
    const scene = await createFailing();
    scene.firewall.fail(refusal);
    const asked = scene.ask("rules");
    await scene.turns();
    scene.firewall.fail(undefined);
    const later = scene.ask("rules");
    await scene.turns();
    assert.deepEqual([asked.answer, later.answer, scene.reconciler.failure()], [refusal, true, null]);
  });

  test("keep the service out of step, with their message", async () => {
    const scene = await createFailing();
    scene.firewall.fail(refusal);
    await scene.pass(2000);
    assert.equal(scene.reconciler.failure(), refusal.message);
  });
});

test("passes that fail move the reconciler as others do; one that does not end stops it", async () => {
  const scene = await createFailing();
  const begin = scene.reconciler.movedAt();
  await scene.pass(10_000);
  const failing = scene.reconciler.movedAt();
  assert.ok(failing - begin > 7000, `${failing - begin}`);
  const end = scene.firewall.hold();
  await scene.pass(10_000);
  const held = scene.reconciler.movedAt();
  assert.ok(held - failing < 3000, `${held - failing}`);
  end();
  await scene.turns();
  assert.ok(scene.reconciler.movedAt() - held >= 7000);
});
