import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { OperatorBan } from "../../src/domain/ban.ts";
import { createPlaces, type Place, placesUpTo } from "../../src/domain/ban-places.ts";
import { compareNetworks, parseNetwork } from "../../src/domain/network.ts";
import type { Steps } from "../../src/domain/steps.ts";
import { atOnce } from "../support/at-once.ts";
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

test("whatever comes and goes, each banned address has one place, in order", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(addresses, addresses), { minLength: 1, maxLength: 6 }), (rounds) => {
      const places = createPlaces();
      for (const [operators, kernel] of rounds)
        assert.deepEqual(textsOf(atOnce(places(stateOf(operators), kernel))), inOrder(operators, kernel));
    }),
  );
});

test("two who ask at the same time, about two states, get each their own", () => {
  fc.assert(
    fc.property(addresses, addresses, fc.infiniteStream(fc.boolean()), (one, other, turns) => {
      const places = createPlaces();
      const running: { readonly steps: Steps<readonly Place[]>; result?: readonly Place[] }[] = [one, other].map((list) => ({
        steps: places(stateOf(list), []),
      }));
      for (const first of turns) {
        const next = running.find(({ result }, index) => result === undefined && index === (first ? 0 : 1));
        const step = next?.steps.next();
        if (next && step?.done === true) next.result = step.value;
        if (running.every(({ result }) => result !== undefined)) break;
      }
      assert.deepEqual(
        running.map(({ result }) => textsOf(result ?? [])),
        [inOrder(one), inOrder(other)],
      );
    }),
  );
});

test("of tens of thousands each step takes care of a small part, and what has not changed takes none", () => {
  const places = createPlaces();
  const many = Array.from({ length: 30_000 }, (_, n) => `10.${(n * 7) % 256}.${n % 256}.${(n * 31) % 251}`);
  const state = stateOf([...new Set(many)]);
  const steps = places(state, []);
  let count = 0;
  while (steps.next().done !== true) count += 1;
  assert.ok(count > 60, `${count} steps`);
  const again = places(state, []).next();
  assert.equal(again.done, true);
  assert.deepEqual(textsOf(again.value ?? []), inOrder(many));
});

test("a page begins behind the place where the one before has ended", () => {
  const places = atOnce(createPlaces()(stateOf(["10.0.0.1", "10.0.0.3", "2001:db8::1"]), []));
  assert.deepEqual(
    ["10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::2"].map((text) => placesUpTo(places, parseNetwork(text))),
    [0, 1, 1, 2, 3],
  );
});
