// What an edit must not do: forget the connections that are counted already (kernel.md › connlimit).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PolicyInput } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { families, forBackends } from "../support/kernel.ts";
import type { Scene } from "../support/scene.ts";
import { shareScene } from "../support/shared-scenes.ts";

const [counted, elsewhere, free] = [4401, 4402, 4403];
const policy: PolicyInput = { ports: [counted], maxConnections: 2 };

forBackends((backend) => {
  const scene = shareScene({ backend, ports: [counted, elsewhere, free] });
  let used = 0;

  for (const { family, source, subject } of families) {
    /** A source that holds as many connections as the policy `counted` allows, which is as fresh as the source. */
    const sourceAtTheLimit = async ({ api, traffic }: Scene): Promise<{ n: number; from: string }> => {
      await api.putPolicy("counted", policy);
      used += 1;
      await traffic.hold(source(used), counted, 2);
      assert.equal(await traffic.knock(source(used), counted), "refused");
      return { n: used, from: source(used) };
    };

    describe(`over IPv${family}`, () => {
      test("what changes nothing in the kernel keeps the counts", async () => {
        const { api, traffic } = scene();
        const { from, n } = await sourceAtTheLimit(scene());
        await api.patchPolicy("counted", { description: "said differently" });
        assert.equal(await traffic.knock(from, counted), "refused", "a description");
        await api.putPolicy("counted", { ...policy, description: "said differently" });
        assert.equal(await traffic.knock(from, counted), "refused", "the same once more");
        await api.putPolicy("shelved", { ports: [elsewhere], maxConnections: 5, mode: "off" });
        await api.deletePolicy("shelved");
        assert.equal(await traffic.knock(from, counted), "refused", "a policy that is off");
        await api.putBan(source(n + 100), { ttlSeconds: 60 });
        await api.deleteBan(source(n + 100));
        assert.equal(await traffic.knock(from, counted), "refused", "a ban that came and went");
        await api.putBan(source(n + 100), { ttlSeconds: 1 });
        await eventually("the ban ends", async () => (await api.ban(source(n + 100))) === undefined);
        assert.equal(await traffic.knock(from, counted), "refused", "a ban that ended by itself");
      });

      if (backend === "legacy") return;

      test("edits of other policies keep the counts", async () => {
        const { api, traffic } = scene();
        const { from } = await sourceAtTheLimit(scene());
        const other: PolicyInput = { ports: [elsewhere], maxConnections: 3, ban: { seconds: 60 } };
        const edits: readonly [string, () => Promise<unknown>][] = [
          ["created", () => api.putPolicy("another", other)],
          ["one that sorts first", () => api.putPolicy("a", { ports: [free], maxConnections: 9 })],
          ["limit", () => api.patchPolicy("another", { maxConnections: 7 })],
          ["ports", () => api.patchPolicy("another", { ports: [elsewhere, free] })],
          ["a shared port", () => api.patchPolicy("another", { ports: [elsewhere, counted] })],
          ["prefixes", () => api.patchPolicy("another", { countPer: { ipv4Prefix: 24, ipv6Prefix: 56 } })],
          ["ban", () => api.patchPolicy("another", { ban: { seconds: 5, scope: "ports" } })],
          ["exempt", () => api.patchPolicy("another", { exempt: [subject(900)] })],
          ["mode", () => api.patchPolicy("another", { mode: "observe" })],
          ["off", () => api.patchPolicy("another", { mode: "off" })],
          ["deleted", () => api.deletePolicy("another")],
          ["the one that sorts first deleted", () => api.deletePolicy("a")],
        ];
        for (const [what, edit] of edits) {
          await edit();
          assert.equal(await traffic.knock(from, counted), "refused", what);
        }
      });

      test("edits of its own ban, rejectWith, exempt and mode keep the counts", async () => {
        const { api, traffic } = scene();
        const { from, n } = await sourceAtTheLimit(scene());
        const patches: readonly Partial<PolicyInput>[] = [
          { rejectWith: "drop" },
          { rejectWith: "tcp-reset" },
          { exempt: [subject(n + 200), subject(n + 201)] },
          { exempt: [] },
          { ban: { seconds: 3_600 } },
          { ban: { seconds: 60, scope: "ports", renewOnAttempt: true } },
          { ban: null },
        ];
        for (const patch of patches) {
          await api.patchPolicy("counted", patch);
          assert.notEqual(await traffic.knock(from, counted, 300), "connected", JSON.stringify(patch));
          if (patch.ban) await api.deleteBan(subject(n));
        }
        await api.patchPolicy("counted", { mode: "observe" });
        assert.equal(await traffic.knock(from, counted), "connected", "observed");
        await api.patchPolicy("counted", { mode: "enforce" });
        assert.equal(await traffic.knock(from, counted), "refused", "enforced again");
      });

      test("a changed limit, which needs a new rule, is in force for what is opened from then on", async () => {
        const { api, traffic } = scene();
        const { from } = await sourceAtTheLimit(scene());
        await api.patchPolicy("counted", { maxConnections: 4 });
        await traffic.hold(from, counted, 2);
        await api.patchPolicy("counted", { maxConnections: 1 });
        await traffic.hold(from, counted, 1);
        assert.equal(await traffic.knock(from, counted), "refused");
      });
    });
  }
});
