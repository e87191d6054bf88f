import assert from "node:assert/strict";
import { test } from "node:test";
import type { OperatorBan } from "../../src/domain/ban.ts";
import { createScene } from "./reconciler-scene.ts";

const ban = (address: string, expiresAt: number | null = null): OperatorBan => ({
  address,
  actor: "ci",
  reason: "",
  since: 0,
  expiresAt,
});

/** A service that is in step, with two bans. */
async function inStep() {
  const scene = createScene();
  await scene.store.transact((change) => {
    for (const address of ["192.0.2.1", "192.0.2.2"]) change.putOperatorBan(ban(address));
  });
  await scene.reconciler.start();
  const put = (address: string, expiresAt: number | null = null) =>
    scene.store.transact((change) => change.putOperatorBan(ban(address, expiresAt)));
  const touched = () => {
    const map = scene.lastDesired()?.touched;
    return map && [...map].map(([address, wanted]) => [address, wanted?.address]);
  };
  return { ...scene, put, touched };
}

test("a pass that is asked for because of some bans looks at those alone, and knows all of them should it need to", async () => {
  const { reconciler, store, put, touched, lastDesired } = await inStep();
  await put("192.0.2.3");
  await store.transact((change) => change.deleteOperatorBan("192.0.2.1"));
  const answers = ["192.0.2.3", "192.0.2.1"].map((address) => reconciler.settle("bans", undefined, [address]));
  assert.deepEqual(await Promise.all(answers), [true, true]);
  assert.deepEqual(touched(), [
    ["192.0.2.3", "192.0.2.3"],
    ["192.0.2.1", undefined],
  ]);
  assert.deepEqual(
    lastDesired()?.operatorBans.map(({ address }) => address),
    ["192.0.2.2", "192.0.2.3"],
  );
  await reconciler.stop();
});

test("whoever does not say which bans, makes the pass look at all of them, also for those who said it", async () => {
  const { reconciler, touched } = await inStep();
  const some = reconciler.settle("bans", undefined, ["192.0.2.1"]);
  assert.deepEqual(await Promise.all([some, reconciler.settle("bans")]), [true, true]);
  assert.equal(touched(), undefined);
  await reconciler.stop();
});

test("a pass after one that failed looks at the rules, hence at all bans", async () => {
  const { reconciler, firewall, touched, kinds, pass } = await inStep();
  firewall.fail(new Error("no"));
  const answer = reconciler.settle("bans", undefined, ["192.0.2.1"]);
  await pass(50);
  firewall.fail(undefined);
  await pass(1000);
  assert.equal(await answer, true);
  assert.deepEqual([kinds().at(-1), touched()], ["rules", undefined]);
  await reconciler.stop();
});

test("a ban that ends while a pass looks at others is stored until a pass that takes it out of the kernel", async () => {
  const { reconciler, store, put, now, pass, touched, firewall, turns } = await inStep();
  await put("192.0.2.3", now() + 60);
  assert.equal(await reconciler.settle("bans", undefined, ["192.0.2.3"]), true);
  const release = firewall.hold();
  const answer = reconciler.settle("bans", undefined, ["192.0.2.1"]);
  await turns();
  await pass(70);
  release();
  assert.equal(await answer, true);
  await turns();
  await pass(50);
  assert.deepEqual([store.operatorBanCount(), touched()], [2, undefined]);
  assert.deepEqual(
    firewall.passes.map(({ desired }) => desired.operatorBans.some(({ address }) => address === "192.0.2.3")).slice(-2),
    [false, false],
  );
  await reconciler.stop();
});

test("a ban that was asked for ends on time, and the pass that ends it looks at all", async () => {
  const { reconciler, store, put, now, pass, touched } = await inStep();
  await put("192.0.2.3", now() + 700);
  assert.equal(await reconciler.settle("bans", undefined, ["192.0.2.3"]), true);
  await pass(650);
  assert.equal(store.operatorBanCount(), 3);
  await pass(100);
  assert.deepEqual([store.operatorBanCount(), touched()], [2, undefined]);
  await reconciler.stop();
});
