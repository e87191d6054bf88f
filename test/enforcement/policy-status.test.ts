import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { samplePolicy } from "../support/samples.ts";
import { createScene } from "./reconciler-scene.ts";

describe("what is said about a policy", () => {
  test("is pending until a pass has seen it in the kernel, and enforced since then", async () => {
    const scene = createScene();
    const policy = samplePolicy();
    scene.store.putPolicies(policy);
    assert.deepEqual(scene.reconciler.enforcementOf(policy).state, "pending");
    await scene.reconciler.start();
    const since = scene.now();
    await scene.pass(2000);
    await scene.pass(2000);
    assert.deepEqual(scene.reconciler.enforcementOf(policy), { state: "enforced", since });
  });

  test("is off where it is off, once its rules are out of the kernel", async () => {
    const scene = createScene();
    const [on, off] = [samplePolicy(), samplePolicy({ mode: "off", revision: 2 })];
    scene.store.putPolicies(on);
    await scene.reconciler.start();
    assert.equal(scene.reconciler.enforcementOf(off).state, "pending");
    scene.store.putPolicies(off);
    scene.ask("rules");
    await scene.turns();
    assert.deepEqual(scene.reconciler.enforcementOf(off), { state: "off" });
  });

  test("of another revision is pending, with the reason of the last failure", async () => {
    const scene = createScene();
    await scene.reconciler.start();
    scene.firewall.fail(new EnforcementDelayed("the lock is held"));
    const policy = samplePolicy({ revision: 2 });
    scene.store.putPolicies(policy);
    assert.match(JSON.stringify(scene.reconciler.enforcementOf(policy)), /"pending","message":"waiting for the next pass/);
    scene.ask("rules");
    await scene.turns();
    assert.deepEqual(scene.reconciler.enforcementOf(policy), { state: "pending", message: "the lock is held" });
  });

  test("is pending for a policy of the same name that was made anew", async () => {
    const scene = createScene();
    scene.store.putPolicies(samplePolicy());
    await scene.reconciler.start();
    assert.equal(scene.reconciler.enforcementOf(samplePolicy({ createdAt: 1 })).state, "pending");
  });

  test("begins anew with each revision, and stays for the policies that were not edited", async () => {
    const scene = createScene();
    const [mysql, web] = [samplePolicy(), samplePolicy({ name: "web", ports: [80] })];
    scene.store.putPolicies(mysql, web);
    await scene.reconciler.start();
    const since = scene.now();
    await scene.pass(1000);
    const edited = { ...mysql, revision: 2 };
    scene.store.putPolicies(edited);
    scene.ask("rules");
    await scene.turns();
    assert.deepEqual(scene.reconciler.enforcementOf(edited), { state: "enforced", since: since + 1000 });
    assert.deepEqual(scene.reconciler.enforcementOf(web), { state: "enforced", since });
  });

  test("is not learnt from a pass over the ban list alone", async () => {
    const scene = createScene();
    await scene.reconciler.start();
    scene.store.putPolicies(samplePolicy());
    scene.ask("bans");
    await scene.turns();
    assert.equal(scene.reconciler.enforcementOf(samplePolicy()).state, "pending");
  });
});
