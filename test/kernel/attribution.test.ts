// The list of bans and the kernel say the same, whatever happens to the policies behind the bans.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PolicyInput } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { type FamilyAddresses, familiesOf, forSetups } from "../support/kernel.ts";
import { shareScene } from "../support/shared-scenes.ts";

const [other, first, second] = [4800, 4801, 4802];

forSetups((setup) => {
  const scene = shareScene({ ...setup, ports: [other, first, second] });
  const ban = { seconds: 600 };
  const policy = (port: number): PolicyInput => ({ ports: [port], maxConnections: 1, ban });

  /** Whether the kernel refuses source `n` everywhere; the list of bans has to say so too. */
  const isBanned = async ({ source, subject }: FamilyAddresses, n: number, after: string): Promise<boolean> => {
    const { traffic, api } = scene();
    const listed = await api.ban(subject(n));
    const outcome = await traffic.knock(source(n), other);
    assert.equal(listed !== undefined, outcome !== "connected", `${after}: ${outcome}, listed as ${JSON.stringify(listed)}`);
    return listed !== undefined;
  };
  const offend = async ({ source }: FamilyAddresses, n: number, port: number): Promise<void> => {
    const { traffic } = scene();
    const held = await traffic.hold(source(n), port);
    assert.notEqual(await traffic.knock(source(n), port, 300), "connected");
    await traffic.close(held);
  };

  for (const addresses of familiesOf(setup)) {
    const { family, source, subject } = addresses;
    describe(`over IPv${family}`, () => {
      test("whatever is done to a policy, who is listed as banned is refused and who is not gets in", async () => {
        const { api } = scene();
        const edits: readonly (readonly [Partial<PolicyInput> | null, boolean])[] = [
          [{ description: "other words" }, true],
          [{ maxConnections: 5 }, true],
          [{ ports: [first, 4803] }, true],
          [{ rejectWith: "icmp-port-unreachable" }, true],
          [{ exempt: [subject(900)] }, true],
          [{ ban: { seconds: 1_200 } }, true],
          [{ exempt: [subject(1), subject(2), subject(3), subject(4), subject(5), subject(6), subject(7), subject(8)] }, false],
          [{ ban: null }, false],
          [{ mode: "observe" }, false],
          [{ mode: "off" }, false],
          [null, false],
        ];
        await api.putPolicy("bystander", policy(second));
        for (const [edit, staysBanned] of edits) {
          const what = JSON.stringify(edit);
          await api.putPolicy("edited", policy(first));
          await offend(addresses, 1, first);
          assert.equal(await isBanned(addresses, 1, `before ${what}`), true);
          if (edit === null) await api.deletePolicy("edited");
          else await api.patchPolicy("edited", edit);
          const still = await isBanned(addresses, 1, `after ${what}`);
          if (staysBanned) assert.equal(still, true, `after ${what}`);
          if (still) await api.deleteBan(subject(1));
          assert.equal(await isBanned(addresses, 1, `lifted after ${what}`), false);
        }
        await api.deletePolicy("bystander");
        await api.deletePolicy("edited").catch(() => undefined);
      });

      test("two policies with equal bans are each blamed for what they saw, and one's end lifts only its own", async () => {
        const { api } = scene();
        await api.putPolicy("one", policy(first));
        await api.putPolicy("two", policy(second));
        await offend(addresses, 11, first);
        await offend(addresses, 12, second);
        const blamed = async (n: number) => (await api.ban(subject(n)))?.causes.map((cause) => cause.policy);
        assert.deepEqual([await blamed(11), await blamed(12)], [["one"], ["two"]]);

        await api.deletePolicy("one");
        assert.equal(await isBanned(addresses, 11, "its policy is gone"), false);
        assert.equal(await isBanned(addresses, 12, "its policy stands"), true);
        await api.deletePolicy("two");
      });

      test("a source that was banned for one policy and later for another is banned for the latter alone", async () => {
        const { api } = scene();
        await api.putPolicy("one", { ...policy(first), ban: { seconds: 1 } });
        await api.putPolicy("two", { ...policy(second), ban: { seconds: 1 } });
        await offend(addresses, 21, first);
        await eventually("the first ban ends", async () => (await api.ban(subject(21))) === undefined);
        await eventually("the source gets in", async () => (await scene().traffic.knock(source(21), other)) === "connected");
        await offend(addresses, 21, second);
        assert.deepEqual(
          (await api.ban(subject(21)))?.causes.map((cause) => cause.policy),
          ["two"],
        );
        await api.deletePolicy("one");
        await api.deletePolicy("two");
      });
    });
  }

  test("a ban goes on over an edit of its policy's ban and a restart of the service, with its own time", async () => {
    const { api, service } = scene();
    await api.putPolicy("edited", policy(first));
    for (const one of familiesOf(setup)) await offend(one, 31, first);
    const bansOfAll = () => Promise.all(familiesOf(setup).map(({ subject }) => api.ban(subject(31))));
    const before = await bansOfAll();
    await api.patchPolicy("edited", { ban: { seconds: 60 }, rejectWith: "drop" });
    await service.restart();
    for (const one of familiesOf(setup)) assert.equal(await isBanned(one, 31, "after a restart"), true);
    for (const [index, ban] of (await bansOfAll()).entries()) {
      const shift = Date.parse(ban?.expiresAt ?? "") - Date.parse(before[index]?.expiresAt ?? "");
      assert.ok(Math.abs(shift) < 200, `its end moved by ${shift} ms`);
    }
    await api.deletePolicy("edited");
    for (const one of familiesOf(setup)) assert.equal(await isBanned(one, 31, "its policy is gone"), false);
  });
});
