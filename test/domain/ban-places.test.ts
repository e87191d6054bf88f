import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import type { OperatorBan } from "../../src/domain/ban.ts";
import { createPlaces, type Place, placesUpTo } from "../../src/domain/ban-places.ts";
import { compareNetworks, parseNetwork } from "../../src/domain/network.ts";
import { sampleOperatorBan } from "../support/samples.ts";

const addresses = fc.uniqueArray(
  fc.oneof(
    fc.nat(40).map((n) => `192.0.2.${n}`),
    fc.nat(20).map((n) => `2001:db8::${n + 1}`),
    fc.nat(8).map((n) => `10.${n}.0.0/16`),
  ),
);

function stateOf(banned: readonly string[]): { operatorBans: () => readonly OperatorBan[] } {
  const bans = banned.map((address) => sampleOperatorBan({ address }));
  return { operatorBans: () => bans };
}

function inOrder(...lists: readonly (readonly string[])[]): readonly string[] {
  return [...new Set(lists.flat())].sort((a, b) => compareNetworks(parseNetwork(a), parseNetwork(b)));
}

const textsOf = (places: readonly Place[]) => places.map(({ address }) => address);

test("whatever comes, goes and changes, each banned address has one place, in order, with its cause", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(addresses, addresses), { minLength: 1, maxLength: 6 }), async (rounds) => {
      const placesOf = createPlaces();
      for (const [operators, kernel] of rounds) {
        const state = stateOf(operators);
        const places = await placesOf(state, kernel);
        assert.deepEqual(textsOf(places), inOrder(operators, kernel));
        const causes = new Map(state.operatorBans().map((ban) => [ban.address, ban]));
        for (const { address, operatorBan } of places) assert.equal(operatorBan, causes.get(address));
      }
    }),
  );
});

test("those who ask at the same time, about several states, get each their own, and so does who asks afterwards", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(addresses, { minLength: 2, maxLength: 4 }), async (lists) => {
      const placesOf = createPlaces();
      const found = await Promise.all(lists.map((list) => placesOf(stateOf(list), [])));
      assert.deepEqual(
        found.map(textsOf),
        lists.map((list) => inOrder(list)),
      );
      const [first = []] = lists;
      assert.deepEqual(textsOf(await placesOf(stateOf(first), [])), inOrder(first));
    }),
  );
});

const many = [...new Set(Array.from({ length: 30_000 }, (_, n) => `10.${(n * 7) % 256}.${n % 256}.${(n * 31) % 251}`))];

test("who asks about tens of thousands lets others have their turns", async () => {
  let turns = 0;
  let running = true;
  const others = (async () => {
    for (; running; turns += 1) await setImmediate();
  })();
  assert.deepEqual(textsOf(await createPlaces()(stateOf(many), [])), inOrder(many));
  running = false;
  await others;
  assert.ok(turns > 2, `${turns} turns`);
});

test("many who ask at once about the same have the same places, made once", async () => {
  const placesOf = createPlaces();
  const state = stateOf(many);
  const found = await Promise.all(Array.from({ length: 20 }, () => placesOf(state, [])));
  for (const places of found) assert.equal(places, found[0]);
  assert.equal(await placesOf(state, []), found[0]);
});

test("a page begins behind the place where the one before has ended", async () => {
  const places = await createPlaces()(stateOf(["10.0.0.1", "10.0.0.3", "2001:db8::1"]), []);
  assert.deepEqual(
    ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::2"].map((text) => placesUpTo(places, parseNetwork(text))),
    [0, 1, 1, 2, 3],
  );
});
