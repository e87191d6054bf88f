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
