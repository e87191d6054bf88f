// A change that nobody confirms is undone at its time, in the store and in the kernel, over a crash as well.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PolicyInput, PolicyResource } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import {
  type ConfirmationResource,
  deletePolicy,
  mustWrite,
  patchPolicy,
  putPolicy,
  sendWrite,
  type Write,
  withQuery,
} from "../support/foresight.ts";
import { type Backend, families, forBackendsSideBySide, save } from "../support/kernel.ts";
import { createScene, type Scene } from "../support/scene.ts";
import { shareScene } from "../support/shared-scenes.ts";
import { differences, readState } from "./kernel-state.ts";

/** The shortest, in seconds. */
const confirmWithin = 10;
/** How far from its time a revert may be seen, in milliseconds. */
const tolerance = 1_000;
/** How many policies are replaced, removed and new. */
interface Numbers {
  readonly replaced: number;
  readonly removed: number;
  readonly added: number;
}
const many: Numbers = { replaced: 16, removed: 4, added: 3 };
const few: Numbers = { replaced: 3, removed: 1, added: 1 };
const sumOf = ({ replaced, removed, added }: Numbers): number => replaced + removed + added;
const port = (number: number): number => 7_500 + number;
const nameOf = (number: number): string => `armed-${number}`;
const before = (number: number): PolicyInput => ({ ports: [port(number)], maxConnections: 100 + number, ban: { seconds: 600 } });
const armed = (write: Write): Write => withQuery(write, { confirmWithin: String(confirmWithin) });

const writeOf = (number: number, { replaced, removed }: Numbers): Write => {
  if (number < replaced) return patchPolicy(nameOf(number), { maxConnections: 10, ban: { seconds: 60 }, rejectWith: "drop" });
  return number < replaced + removed ? deletePolicy(nameOf(number)) : putPolicy(nameOf(number), before(number));
};

/** Arms all changes side by side, and waits for the kernel; resolves with the time at which each is undone. */
async function armAll({ service }: Scene, numbers: Numbers): Promise<ReadonlyMap<string, number>> {
  const begun = Date.now();
  const ends = await Promise.all(
    Array.from({ length: sumOf(numbers) }, async (_, number) => {
      const { status, body } = await sendWrite(service, armed(writeOf(number, numbers)));
      assert.ok([200, 201, 202].includes(status), JSON.stringify(body));
      const { confirmation } = body as { confirmation: ConfirmationResource };
      return [nameOf(number), Date.parse(confirmation.revertsAt)] as const;
    }),
  );
  const times = ends.map(([, end]) => end);
  assert.ok(Math.min(...times) >= begun + confirmWithin * 1_000);
  await eventually("the kernel has them", async () => (await service.request("GET", "/readyz")).status === 200);
  return new Map(ends);
}

/** The limit that the kernel has for each policy. */
async function limitsIn({ network }: Scene, backend: Backend): Promise<ReadonlyMap<string, number>> {
  const rules = await save(network, backend, 4);
  const found = rules.matchAll(/^-A CLD-P-(\S+) .*--connlimit-above (\d+) /gm);
  return new Map([...found].map(([, name = "", limit]) => [name, Number(limit)]));
}

/**
 * Watches until every policy is as it was, and asserts of each that this happened at its time.
 * @param back when the service was there again
 */
async function assertRevertsInTime(
  scene: Scene,
  backend: Backend,
  { replaced, removed }: Numbers,
  ends: ReadonlyMap<string, number>,
  back = 0,
): Promise<void> {
  const wanted = (name: string): number | undefined => {
    const number = Number(name.slice("armed-".length));
    return number < replaced + removed ? 100 + number : undefined;
  };
  const left = new Map([...ends].map(([name, end]) => [name, Math.max(end, back)]));
  const first = Math.min(...left.values()) - tolerance;
  const within = (confirmWithin + 10) * 1_000;
  await eventually("the first time comes near", () => Date.now() > first - 500, { within, every: 50 });
  const watch = async (): Promise<boolean> => {
    const asked = Date.now();
    const limits = await limitsIn(scene, backend);
    const answered = Date.now();
    for (const [name, end] of left) {
      if (limits.get(name) === wanted(name)) {
        assert.ok(answered >= end - tolerance, `${name} was undone ${end - answered} ms too early`);
        left.delete(name);
      } else if (asked > end + tolerance) failures.push(`${name} is still there ${asked - end} ms after its time`);
    }
    return left.size === 0 || failures.length > 0;
  };
  const failures: string[] = [];
  await eventually("every change is undone in the kernel", watch, { within, every: 150 });
  assert.deepEqual(failures, []);
}

async function contentOf({ api }: Scene): Promise<readonly Partial<PolicyResource>[]> {
  const policies = await api.policies();
  return policies.map(({ revision: _revision, updatedAt: _updatedAt, enforcement: _enforcement, ...content }) => content);
}

async function waiting({ service }: Scene): Promise<readonly ConfirmationResource[]> {
  return (await mustWrite<{ items: ConfirmationResource[] }>(service, { method: "GET", path: "/v1/confirmations" })).items;
}

/** Policies as they are before a change is armed. */
async function furnish(scene: Scene, backend: Backend, { replaced, removed }: Numbers): Promise<() => Promise<void>> {
  const { service, network, api } = scene;
  const numbers = Array.from({ length: replaced + removed }, (_, number) => number);
  await Promise.all(numbers.map((number) => sendWrite(service, putPolicy(nameOf(number), before(number)))));
  await eventually("all of them are enforced", async () =>
    (await api.policies()).every(({ enforcement }) => enforcement.state === "enforced"),
  );
  const [content, kernel] = await Promise.all([contentOf(scene), readState(network, backend)]);
  assert.equal(content.length, numbers.length);
  return async () => {
    assert.deepEqual(await contentOf(scene), content);
    assert.deepEqual(differences(kernel, await readState(network, backend)), []);
    assert.deepEqual(await waiting(scene), []);
    assert.equal((await api.status()).passes.repairs.count, 0);
  };
}

forBackendsSideBySide((backend) => {
  test(`twice ${sumOf(many)} changes are undone at their time, the second time over a SIGKILL and a restart`, async () => {
    await using scene = await createScene({ backend, ports: [] });
    const assertAsBefore = await furnish(scene, backend, many);
    const ends = await armAll(scene, many);
    for (const { policy, revertsAt } of await waiting(scene)) assert.equal(Date.parse(revertsAt), ends.get(policy));
    await assertRevertsInTime(scene, backend, many, ends);
    await assertAsBefore();

    const endsAgain = await armAll(scene, many);
    await scene.service.kill();
    await scene.service.restart();
    await assertRevertsInTime(scene, backend, many, endsAgain, Date.now());
    await assertAsBefore();
  });

  describe("one after another", { concurrency: 1 }, () => {
    const scene = shareScene({ backend, ports: [port(0)] });

    test("a change is kept by its confirmation, undone at once by DELETE, and too late to confirm after its time", async () => {
      const { service, traffic, api } = scene();
      for (const number of [0, 1, 2]) await mustWrite(service, putPolicy(nameOf(number), before(number)));
      const arm = async (write: Write): Promise<ConfirmationResource> =>
        (await mustWrite<{ confirmation: ConfirmationResource }>(service, armed(write))).confirmation;
      const pathOf = ({ id }: ConfirmationResource): string => `/v1/confirmations/${id}`;
      const late = await arm(patchPolicy(nameOf(1), { maxConnections: 10 }));
      const kept = await arm(patchPolicy(nameOf(2), { maxConnections: 10 }));
      const dropped = await arm(patchPolicy(nameOf(0), { maxConnections: 1, ban: null }));

      for (const write of [patchPolicy(nameOf(2), { description: "again" }), deletePolicy(nameOf(2)), armed(writeOf(2, many))]) {
        const { status, body } = await sendWrite(service, write);
        assert.equal(status, 409, JSON.stringify(body));
        assert.match((body as { detail: string }).detail, new RegExp(`waits for its confirmation ${kept.id}`));
      }
      for (const { source } of families) {
        await traffic.hold(source(1), port(0));
        assert.equal(await traffic.knock(source(1), port(0)), "refused");
      }
      assert.equal((await service.request("DELETE", pathOf(dropped))).status, 204);
      for (const { source } of families) assert.equal(await traffic.knock(source(1), port(0)), "connected");
      assert.equal((await limitsIn(scene(), backend)).get(nameOf(0)), 100);
      assert.equal((await service.request("POST", pathOf(dropped))).status, 410);

      assert.equal((await service.request("POST", pathOf(kept))).status, 200);
      assert.equal((await service.request("POST", pathOf(kept))).status, 404);
      await mustWrite(service, patchPolicy(nameOf(2), { description: "kept" }));
      const end = Date.parse(late.revertsAt);
      await eventually("the time is over", () => Date.now() >= end, { within: (confirmWithin + 1) * 1_000, every: 20 });
      assert.equal((await service.request("POST", pathOf(late))).status, 410);
      await eventually("it is undone", async () => (await limitsIn(scene(), backend)).get(nameOf(1)) === 101, {
        within: tolerance,
      });
      assert.equal((await service.request("POST", pathOf(late))).status, 410);
      assert.equal((await service.request("DELETE", pathOf(late))).status, 410);
      assert.deepEqual(await waiting(scene()), []);
      const policy = (await api.policies()).find(({ name }) => name === nameOf(2));
      assert.deepEqual([policy?.maxConnections, policy?.description], [10, "kept"]);
      assert.equal((await limitsIn(scene(), backend)).get(nameOf(2)), 10);
    });

    test("what became due while the service was down is undone at once when it is back", async () => {
      const stage = scene();
      const assertAsBefore = await furnish(stage, backend, few);
      const ends = await armAll(stage, few);
      const changed = await limitsIn(stage, backend);
      await stage.service.kill();
      const last = Math.max(...ends.values());
      await eventually("the time is over", () => Date.now() > last, { within: (confirmWithin + 3) * 1_000, every: 100 });
      assert.deepEqual(await limitsIn(stage, backend), changed);
      await stage.service.restart();
      await assertRevertsInTime(stage, backend, few, ends, Date.now());
      await assertAsBefore();
    });
  });
});
