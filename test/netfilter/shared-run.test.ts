import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createSharedRun } from "../../src/netfilter/shared-run.ts";

describe("a shared run", () => {
  it("serves all who ask in the same turn", async () => {
    let runs = 0;
    const shared = createSharedRun(async () => (runs += 1));
    assert.deepEqual(await Promise.all([shared(), shared(), shared()]), [1, 1, 1]);
  });

  it("begins after it was asked for, though another one is under way", async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    let runs = 0;
    const shared = createSharedRun(async () => {
      runs += 1;
      const number = runs;
      begun.resolve();
      await gate;
      return number;
    });
    const first = shared();
    await begun.promise;
    const later = [shared(), shared()];
    open();
    assert.equal(await first, 1);
    assert.deepEqual(await Promise.all(later), [2, 2]);
  });

  it("rests as long as it is told to, so that who asks meanwhile shares the next one, and who asks later does not wait", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let now = 0;
    t.mock.method(performance, "now", () => now);
    const turns = async () => {
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    };
    let runs = 0;
    const shared = createSharedRun(async () => {
      now += 10;
      runs += 1;
      return runs;
    }, 2);
    assert.equal(await shared(), 1);
    const early = [shared(), shared()];
    await turns();
    assert.equal(runs, 1);
    now += 20;
    t.mock.timers.tick(20);
    assert.deepEqual(await Promise.all(early), [2, 2]);
    now += 20;
    assert.equal(await shared(), 3);
  });

  it("tells all who share it of its failure, and nobody after them", async () => {
    let runs = 0;
    const shared = createSharedRun(async () => {
      runs += 1;
      if (runs === 1) throw new Error("the first fails");
      return runs;
    });
    const [one, two] = await Promise.allSettled([shared(), shared()]);
    assert.equal(one.status, "rejected");
    assert.equal(two.status, "rejected");
    assert.equal(await shared(), 2);
  });
});
