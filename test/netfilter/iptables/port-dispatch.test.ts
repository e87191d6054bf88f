import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { dispatchByPort } from "../../../src/netfilter/iptables/port-dispatch.ts";
import type { Rule } from "../../../src/netfilter/iptables/rule.ts";
import { walkPacket } from "../../support/packet-walk.ts";

/** Seven levels of four branches, and a leaf of four ports. */
const mostRulesMet = 32;
const root = "CLD-ROOT";

/** A rule that leaves a trace of having been met. */
function trace(list: string): Rule {
  return { matches: [{ kind: "recent", command: "set", list, prefix: 32 }], target: { kind: "none" } };
}

function dispatchOf(ports: Iterable<number>, rulesPerPort = 1) {
  const names = (port: number) => Array.from({ length: rulesPerPort }, (_, index) => `${port}#${index}`);
  return dispatchByPort(root, new Map([...ports].map((port) => [port, names(port).map(trace)])));
}

function arrive(chains: ReturnType<typeof dispatchByPort>, port: number) {
  return walkPacket(chains, { from: "192.0.2.1", port }, {}, root);
}

const port = fc.integer({ min: 1, max: 65535 });
/** Spread out, and crowded together, as ports are. */
const somePorts = fc.oneof(
  fc.uniqueArray(port, { maxLength: 300 }),
  fc
    .tuple(fc.integer({ min: 1, max: 65000 }), fc.uniqueArray(fc.integer({ min: 0, max: 400 }), { maxLength: 300 }))
    .map(([from, offsets]) => offsets.map((offset) => from + offset)),
);

/** Whether the range in the chain's name holds the port; the root holds all. */
function covers(chain: string, wanted: number): boolean {
  const [, from, to] = /-(\d+)-(\d+)$/.exec(chain) ?? [];
  return chain === root || (Number(from) <= wanted && wanted <= Number(to));
}

describe("for any set of ports", () => {
  test("a packet to one of them meets exactly that port's rules, in order, and within the bound", () => {
    fc.assert(
      fc.property(somePorts, fc.integer({ min: 1, max: 2 }), (ports, perPort) => {
        const chains = dispatchOf(ports, perPort);
        for (const one of ports) {
          const journey = arrive(chains, one);
          assert.deepEqual(
            journey.stamped,
            Array.from({ length: perPort }, (_, index) => `${one}#${index}`),
          );
          // Several rules of one port stand in a chain of their own.
          assert.ok(journey.rulesMet <= mostRulesMet + perPort);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("a packet to any other port meets no port's rules, and no more rules than the bound", () => {
    fc.assert(
      fc.property(somePorts, fc.array(port, { minLength: 50, maxLength: 50 }), (ports, strangers) => {
        const chains = dispatchOf(ports);
        const near = ports.flatMap((one) => [one - 1, one + 1]);
        for (const one of [...strangers, ...near].filter((each) => !ports.includes(each))) {
          const journey = arrive(chains, one);
          assert.deepEqual(journey.stamped, []);
          assert.ok(journey.rulesMet <= mostRulesMet);
        }
      }),
      { numRuns: 40 },
    );
  });

  test("one port more changes no chain that does not cover it, and makes at most four new ones", () => {
    fc.assert(
      fc.property(somePorts, port, (ports, added) => {
        fc.pre(!ports.includes(added));
        const before = dispatchOf(ports);
        const after = dispatchOf([...ports, added]);
        for (const [name, rules] of before) if (!covers(name, added)) assert.deepEqual(after.get(name), rules);
        assert.ok([...after.keys()].filter((name) => !before.has(name)).length <= 4);
      }),
      { numRuns: 200 },
    );
  });

  test("the order in which they were named makes no difference", () => {
    fc.assert(
      fc.property(somePorts, (ports) => assert.deepEqual([...dispatchOf(ports)], [...dispatchOf(ports.toReversed())])),
      { numRuns: 40 },
    );
  });
});

for (const count of [1_000, 15_000]) {
  test(`with ${count} ports no packet meets more than ${mostRulesMet} rules`, () => {
    const ports = new Set(Array.from({ length: count }, (_, index) => 1 + ((index * 40_503) % 65_535)));
    const chains = dispatchOf(ports);
    for (let one = 0; one < 65_536; one += 7) {
      const journey = arrive(chains, one);
      assert.ok(journey.rulesMet <= mostRulesMet);
      assert.deepEqual(journey.stamped, ports.has(one) ? [`${one}#0`] : []);
    }
  });
}

test("a few ports need one chain only", () => {
  assert.deepEqual([...dispatchOf([22, 80, 443, 3306]).keys()], [root]);
});

test("without ports there is one empty chain", () => {
  assert.deepEqual([...dispatchOf([])], [[root, []]]);
});

test("every packet that is compared with a port is TCP", () => {
  const chains = dispatchOf(Array.from({ length: 100 }, (_, index) => index * 300 + 1));
  for (const rule of [...chains.values()].flat()) assert.deepEqual(rule.matches[0], { kind: "protocol", protocol: "tcp" });
});
