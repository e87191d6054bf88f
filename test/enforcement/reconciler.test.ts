import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sampleOperatorBan, samplePolicy } from "../support/samples.ts";
import { createScene } from "./reconciler-scene.ts";

async function started() {
  const scene = createScene();
  await scene.reconciler.start();
  return scene;
}

describe("the first pass", () => {
  test("looks at the rules, and the start waits for it", async () => {
    const scene = createScene();
    scene.store.putPolicies(samplePolicy());
    assert.deepEqual([scene.reconciler.inStep(), scene.reconciler.lastPassAt()], [false, null]);
    assert.match(scene.reconciler.failure() ?? "", /first pass/);
    await scene.reconciler.start();
    assert.deepEqual(scene.kinds(), ["rules"]);
    assert.deepEqual(scene.lastDesired(), { policies: [samplePolicy()], operatorBans: [], lifts: [], graces: [] });
    assert.deepEqual([scene.reconciler.inStep(), scene.reconciler.failure()], [true, null]);
    assert.equal(scene.reconciler.lastPassAt(), scene.now());
  });

  test("knows the bans that an earlier process had seen", async () => {
    const scene = createScene();
    const ban = { home: "cld4-h32ro-all", address: "192.0.2.1", policies: ["mysql"], since: 1, expiresAt: scene.now() + 60_000 };
    scene.store.putKernelBans(ban);
    await scene.reconciler.start();
    assert.deepEqual(scene.firewall.recalled, [ban]);
  });

  test("that fails lets the service start all the same, out of step", async () => {
    const scene = createScene();
    scene.firewall.fail(new Error("the lock is held"));
    await scene.reconciler.start();
    assert.deepEqual([scene.reconciler.inStep(), scene.reconciler.failure()], [false, "the lock is held"]);
  });
});

describe("requests", () => {
  test("that come in the same turn share one pass, the wider one", async () => {
    const scene = await started();
    const asked = [scene.ask("bans"), scene.ask("rules"), scene.ask("bans")];
    await scene.turns();
    assert.deepEqual(scene.kinds(), ["rules", "changes"]);
    assert.deepEqual(
      asked.map((one) => one.answer),
      [true, true, true],
    );
  });

  test("about bans alone don't look at the rules", async () => {
    const scene = await started();
    scene.ask("bans");
    await scene.turns();
    assert.deepEqual(scene.kinds(), ["rules", "bans"]);
  });

  test("that come while a pass runs get the next one, which sees the state as it is then", async () => {
    const scene = await started();
    const end = scene.firewall.hold();
    const first = scene.ask("rules");
    await scene.turns();
    scene.store.putPolicies(samplePolicy());
    const second = scene.ask("bans");
    const third = scene.ask("rules");
    await scene.turns();
    assert.deepEqual([first.answer, second.answer, scene.kinds().length], [undefined, undefined, 2]);
    end();
    await scene.turns();
    assert.deepEqual([first.answer, second.answer, third.answer], [true, true, true]);
    assert.deepEqual(scene.kinds(), ["rules", "changes", "changes"]);
    assert.deepEqual(scene.lastDesired()?.policies, [samplePolicy()]);
    assert.equal(scene.firewall.mostAtOnce, 1);
  });
});

describe("the regular look", () => {
  test("comes two seconds after the last look at the rules, again and again", async () => {
    const scene = await started();
    await scene.pass(1999);
    assert.equal(scene.kinds().length, 1);
    await scene.pass(1);
    await scene.pass(2000);
    assert.deepEqual(scene.kinds(), ["rules", "rules", "rules"]);
  });

  test("is not put off by requests about bans", async () => {
    const scene = await started();
    for (let second = 0; second < 4; second += 1) {
      await scene.pass(500);
      scene.ask("bans");
      await scene.turns();
    }
    assert.ok(scene.kinds().slice(1).includes("rules"));
  });

  test("is not put off by writes of rules, which look at what they change alone", async () => {
    const scene = await started();
    for (let second = 0; second < 4; second += 1) {
      await scene.pass(500);
      scene.ask("rules");
      await scene.turns();
    }
    assert.deepEqual(scene.kinds(), ["rules", "changes", "changes", "changes", "rules", "changes"]);
  });

  test("writes nothing to the store while nothing changes", async () => {
    const scene = await started();
    await scene.pass(60_000);
    assert.equal(scene.store.transactions, 0);
    assert.ok(scene.kinds().every((kind) => kind === "rules"));
  });
});

describe("drift", () => {
  const found = ["IPv4: chain CLD-INPUT missing"];

  test("that a regular look finds is logged and counted, with what was found, each time it is found", async () => {
    const scene = await started();
    scene.firewall.report({ writes: 3, found });
    await scene.pass(2000);
    scene.firewall.report({});
    await scene.pass(2000);
    assert.deepEqual(scene.logged, [
      { level: "warn", details: { found, differences: 1, writes: 3 }, message: "the kernel differed and was put right" },
    ]);
    const { count, latest } = scene.reconciler.repairs();
    assert.deepEqual([count, latest], [1, [{ at: scene.now() - 2000, found, writes: 3 }]]);
  });

  test("of many kinds is logged in one line of bounded length", async () => {
    const scene = await started();
    scene.firewall.report({ writes: 900, found: Array.from({ length: 500 }, (_, index) => `chain ${index} missing`) });
    await scene.pass(2000);
    assert.equal(scene.logged.length, 1);
    assert.ok(JSON.stringify(scene.logged[0]).length < 1000);
    assert.match(JSON.stringify(scene.logged[0]), /"differences":500/);
  });

  test("is not logged where somebody asked for a change", async () => {
    const scene = await started();
    scene.firewall.report({ writes: 3, found });
    scene.ask("rules");
    await scene.turns();
    assert.deepEqual([scene.logged, scene.reconciler.repairs().count], [[], 0]);
  });

  test("is not made of what the first pass has to build", async () => {
    const scene = createScene();
    scene.firewall.report({ writes: 30, found });
    await scene.reconciler.start();
    assert.deepEqual([scene.logged, scene.reconciler.repairs().count], [[], 0]);
  });
});

for (const what of ["operator's ban", "grace"] as const) {
  describe(`an ${what} that ends`.replace("an grace", "a grace"), () => {
    const put = (scene: ReturnType<typeof createScene>, address: string, left: number): void => {
      if (what === "grace") scene.store.putGraces({ address, until: scene.now() + left });
      else scene.store.putBans(sampleOperatorBan({ address, expiresAt: scene.now() + left }));
    };
    const stored = (scene: ReturnType<typeof createScene>) =>
      (what === "grace" ? scene.store.graces() : scene.store.operatorBans()).map(({ address }) => address);
    const desired = (scene: ReturnType<typeof createScene>) => {
      const last = scene.lastDesired();
      return (what === "grace" ? last?.graces : last?.operatorBans)?.map(({ address }) => address);
    };

    test("is taken out of the store and the kernel at its end, without a look at the rules", async () => {
      const scene = await started();
      put(scene, "192.0.2.1", 700);
      put(scene, "192.0.2.2", 1_000_000);
      scene.ask("bans");
      await scene.turns();
      assert.deepEqual(desired(scene), ["192.0.2.1", "192.0.2.2"]);
      await scene.pass(699);
      assert.deepEqual(stored(scene), ["192.0.2.1", "192.0.2.2"]);
      await scene.pass(1);
      assert.deepEqual([desired(scene), stored(scene)], [["192.0.2.2"], ["192.0.2.2"]]);
      assert.ok(
        scene
          .kinds()
          .slice(1)
          .every((kind) => kind === "bans"),
      );
    });

    test("is gone although the wall clock jumps forward over its end, with the next glance", async () => {
      const scene = await started();
      put(scene, "192.0.2.1", 3_600_000);
      scene.ask("bans");
      await scene.turns();
      scene.setWallClock(3_600_000);
      await scene.pass(100);
      assert.deepEqual([stored(scene), desired(scene)], [[], []]);
    });

    test("stays until its time although the wall clock jumps back, and the waiting goes on", async () => {
      const scene = await started();
      put(scene, "192.0.2.1", 1000);
      scene.ask("bans");
      await scene.turns();
      scene.setWallClock(-10_000);
      await scene.pass(1000);
      assert.deepEqual(stored(scene), ["192.0.2.1"]);
      await scene.pass(10_000);
      assert.deepEqual(stored(scene), []);
    });

    test("is kept where it was given more time while the pass was on its way to the store", async () => {
      const scene = await started();
      put(scene, "192.0.2.1", 700);
      scene.ask("bans");
      await scene.turns();
      await scene.pass(650);
      const passing = scene.pass(50);
      put(scene, "192.0.2.1", 60_000);
      await passing;
      assert.deepEqual(stored(scene), ["192.0.2.1"]);
    });

    test("and has ended while the service was away never reaches the kernel", async () => {
      const scene = createScene();
      put(scene, "192.0.2.1", -1);
      await scene.reconciler.start();
      assert.deepEqual([desired(scene), stored(scene)], [[], []]);
    });
  });
}

describe("stopping", () => {
  test("lets the pass that runs end, and answers those who wait for it", async () => {
    const scene = await started();
    const end = scene.firewall.hold();
    const asked = scene.ask("rules");
    await scene.turns();
    let stopped = false;
    const stopping = scene.reconciler.stop().then(() => {
      stopped = true;
    });
    await scene.turns();
    assert.deepEqual([stopped, asked.answer], [false, undefined]);
    end();
    await stopping;
    assert.equal(asked.answer, true);
  });

  test("begins no other pass, neither by time nor on request, and glances no more", async () => {
    const scene = await started();
    await scene.reconciler.stop();
    const asked = scene.ask("rules");
    const { glances } = scene.firewall;
    scene.firewall.see({ flushed: true }, true);
    await scene.pass(10_000);
    assert.deepEqual([scene.kinds().length, asked.answer, scene.firewall.glances], [1, false, glances]);
  });
});
