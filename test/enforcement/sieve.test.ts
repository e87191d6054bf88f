import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DomainError } from "../../src/domain/errors.ts";
import type { PassReport } from "../../src/domain/ports.ts";
import { createSieve } from "../../src/enforcement/sieve.ts";
import { samplePolicy } from "../support/samples.ts";
import { createScene } from "./reconciler-scene.ts";

const names = Array.from({ length: 64 }, (_, index) => `policy-${String(index).padStart(2, "0")}`);

/** A host on which the kernel refuses some of the stored policies, as after an upgrade of it. */
async function createRefusing(...refused: readonly string[]) {
  const scene = createScene();
  scene.store.putPolicies(...names.map((name) => samplePolicy({ name })));
  scene.firewall.refuse(...refused);
  await scene.reconciler.start();
  const stateOf = (name: string) => scene.reconciler.enforcementOf(scene.store.policy(name) ?? samplePolicy());
  return { ...scene, stateOf };
}

describe("where the kernel refuses stored policies", () => {
  test("it gets all others, and no more of them is left out", async () => {
    const scene = await createRefusing("policy-07", "policy-40");
    assert.deepEqual([...(scene.lastDesired()?.withheld ?? [])], ["policy-07", "policy-40"]);
    assert.equal(scene.lastDesired()?.policies.length, names.length);
    assert.ok(scene.firewall.checks < 30, `${scene.firewall.checks} questions`);
  });

  test("each of them is pending with the kernel's message, and the others are enforced", async () => {
    const scene = await createRefusing("policy-07");
    assert.deepEqual(scene.stateOf("policy-07"), { state: "pending", message: "line policy-07 failed" });
    assert.equal(scene.stateOf("policy-08").state, "enforced");
  });

  test("the service is not in step, says which, and logs it once", async () => {
    const scene = await createRefusing("policy-07", "policy-40");
    await scene.pass(10_000);
    const reason = "the kernel refuses the policy policy-07 and 1 more: line policy-07 failed";
    assert.deepEqual([scene.reconciler.inStep(), scene.reconciler.failure()], [false, reason]);
    assert.deepEqual(
      scene.logged.map(({ details }) => details),
      [{ reason }],
    );
  });

  test("a ban is in the kernel when it is answered, and a flush is healed at once", async () => {
    const scene = await createRefusing("policy-07");
    const asked = scene.ask("bans");
    await scene.turns();
    assert.equal(asked.answer, true);
    const before = scene.kinds().length;
    scene.firewall.see({ flushed: true });
    await scene.pass(100);
    assert.ok(scene.kinds().length > before);
  });

  test("who asks for rules is told of the refusal", async () => {
    const scene = await createRefusing("policy-07");
    const asked = scene.ask("rules");
    await scene.turns();
    assert.ok(asked.answer instanceof DomainError);
  });

  test("what is known to be refused is not searched for again", async () => {
    const scene = await createRefusing("policy-07");
    const { checks } = scene.firewall;
    await scene.pass(10_000);
    assert.equal(scene.firewall.checks, checks);
  });

  test("the kernel gets them within two seconds once it takes them, and that is said", async () => {
    const scene = await createRefusing("policy-07");
    scene.firewall.refuse();
    await scene.pass(2000);
    assert.deepEqual([scene.reconciler.inStep(), scene.stateOf("policy-07").state], [true, "enforced"]);
    assert.equal(scene.lastDesired()?.withheld, undefined);
    assert.equal(scene.logged.at(-1)?.message, "the kernel takes all policies again");
  });

  test("a kernel that takes them on trial only gets the bans at least", async () => {
    const scene = createScene();
    scene.store.putPolicies(...names.map((name) => samplePolicy({ name })));
    const converge = async (): Promise<PassReport> => ({ writes: 0, found: [], kernelBans: [], imprecise: false, nextEnd: null });
    const { firewall } = scene;
    const refusal = new DomainError("kernel-refused", "line 1 failed");
    const sieve = createSieve({
      check: firewall.check,
      converge: (desired) => (desired.withheld?.size === names.length ? converge() : Promise.reject(refusal)),
    });
    const desired = { policies: scene.store.policies(), operatorBans: [], lifts: [], graces: [] };
    const { refused } = await sieve.converge(desired);
    assert.deepEqual([...refused.keys()], names);
  });

  test("a kernel that refuses even the rules without any policy is an error", async () => {
    const scene = createScene();
    scene.store.putPolicies(samplePolicy());
    scene.firewall.fail(new DomainError("kernel-refused", "line 1 failed"));
    await scene.reconciler.start();
    assert.equal(scene.reconciler.failure(), "line 1 failed");
  });
});
