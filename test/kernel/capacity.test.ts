// No ban is lost to capacity: twenty thousand operators' bans, addresses and networks mixed, in both families.
import assert from "node:assert/strict";
import { test } from "node:test";
import { forBackendsSideBySide, listedAddresses, readSets } from "../support/kernel.ts";
import { seededRandom } from "../support/random.ts";
import { createScene } from "../support/scene.ts";

const port = 5200;
const perFamily = 10_000;
/** One ban in so many is of a network. */
const networkEvery = 5;
const sampled = 500;

interface Target {
  readonly address: string;
  /** Somebody whom the ban hits. */
  readonly source: string;
}

/** Ban number `n` of a family, in a network of its own. */
const targets = {
  4: (n: number): Target => {
    const start = `10.${128 + (n >> 8)}.${n & 255}`;
    return n % networkEvery === 0
      ? { address: `${start}.0/${n % 2 === 0 ? 24 : 29}`, source: `${start}.6` }
      : { address: `${start}.6`, source: `${start}.6` };
  },
  6: (n: number): Target => {
    const start = `2001:db8:a:${(n + 1).toString(16)}`;
    return n % networkEvery === 0
      ? { address: `${start}::/${n % 2 === 0 ? 64 : 120}`, source: `${start}::6` }
      : { address: `${start}::6`, source: `${start}::6` };
  },
} as const;

forBackendsSideBySide((backend) => {
  test(`${2 * perFamily} bans put by batches are all read back, ${sampled} at random are refused, and removal leaves nothing`, async () => {
    await using scene = await createScene({ backend, ports: [port] });
    const { api, traffic, network } = scene;
    await network.addSources(["10.128.0.0/10", "2001:db8:a::/48"]);
    const families = ([4, 6] as const).map((family) => Array.from({ length: perFamily }, (_, n) => targets[family](n)));
    const [four = [], six = []] = families;
    const all = [...four, ...six];
    // Each batch has half of each family.
    const half = perFamily / 2;
    const batches = [
      [...four.slice(0, half), ...six.slice(0, half)],
      [...four.slice(half), ...six.slice(half)],
    ];
    const random = seededRandom(7);
    for (const [index, batch] of batches.entries()) {
      const put = batch.map(({ address }) =>
        index === 0 ? { address } : { address, ttlSeconds: 3_600, reason: `number ${index}` },
      );
      assert.deepEqual(await api.batch({ put }), { created: 10_000, updated: 0, deleted: 0, unchanged: 0, severed: 0 });
    }

    const bans = await api.bans({ by: "operator" });
    assert.deepEqual(new Set(bans.map((ban) => ban.address)), new Set(all.map(({ address }) => address)));
    assert.equal(bans.length, all.length, "none twice");
    assert.ok(bans.every((ban) => ban.enforced));
    const sample = Array.from({ length: sampled }, () => random.pick(all).source);
    assert.deepEqual(Object.keys(await traffic.knockAll(sample, port)), ["refused"]);
    const besides = ["10.9.0.1", "10.128.1.7", "10.191.255.255", "2001:db8:9:1::1", "2001:db8:a:2::7"];
    assert.equal((await traffic.knockAll(besides, port)).connected?.length, besides.length);
    const { bans: counted, lists } = await api.status();
    assert.equal(counted.notEnforced, 0);
    const held = lists.filter(({ name }) => name.endsWith("-operator")).reduce((sum, { entries }) => sum + entries, 0);
    assert.equal(held, all.length);

    for (const batch of batches) {
      const { deleted } = await api.batch({ delete: batch.map(({ address }) => address) });
      assert.equal(deleted, 10_000);
    }
    assert.deepEqual(await api.bans(), []);
    const sets = await readSets(network);
    for (const name of ["cld4-operator", "cld6-operator"]) {
      assert.deepEqual(await listedAddresses(network, name), [], name);
      assert.deepEqual(sets.get(name), [], name);
    }
    assert.deepEqual(Object.keys(await traffic.knockAll(sample.slice(0, 50), port)), ["connected"]);
  });
});
