// SIGKILL at random moments under eight writers; bench/crashes.ts does it a thousand times.
import assert from "node:assert/strict";
import { test } from "node:test";
import { forBackendsSideBySide } from "../support/kernel.ts";
import { seededRandom } from "../support/random.ts";
import { createCrashScene } from "./crashes.ts";

const kills = 4;
const policies = 100;

forBackendsSideBySide((backend) => {
  test(`${kills} SIGKILLs lose nothing that was acknowledged, leave nothing half applied, and the kernel is in step after each start`, async (t) => {
    const seed = Date.now();
    t.diagnostic(`seed ${seed}`);
    await using scene = await createCrashScene(backend, policies, seededRandom(seed));
    // Some kills come before any write does; more of them, then, than would prove nothing.
    const isEnough = (killed: number): boolean => killed >= kills && scene.acknowledged() > kills;
    for (let kill = 0; !isEnough(kill) && kill < 3 * kills; kill += 1) {
      const { contradictions } = await scene.crash();
      assert.deepEqual(contradictions, [], `seed ${seed}`);
    }
    assert.ok(scene.acknowledged() > kills, `only ${scene.acknowledged()} writes were acknowledged`);
  });
});
