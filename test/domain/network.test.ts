import assert from "node:assert/strict";
import { isIPv4 } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import {
  compareNetworks,
  contains,
  formatNetwork,
  isSingleAddress,
  maskNetwork,
  type Network,
  NetworkSyntaxError,
  netmask,
  networksAround,
  overlaps,
  parseAddress,
  parseNetwork,
} from "../../src/domain/network.ts";

const bits = { 4: 32, 6: 128 } as const;

/** Few different bytes, so that networks often hold each other; no IPv4-mapped IPv6, which is read as IPv4. */
const networks: fc.Arbitrary<Network> = fc
  .constantFrom(4 as const, 6 as const)
  .chain((family) =>
    fc.record({
      family: fc.constant(family),
      bytes: fc.array(fc.oneof(fc.constantFrom(0, 128, 255), fc.nat(255)), {
        minLength: bits[family] / 8,
        maxLength: bits[family] / 8,
      }),
      prefix: fc.nat(bits[family]),
    }),
  )
  .map((drawn) => maskNetwork({ ...drawn, prefix: bits[drawn.family] }, drawn.prefix))
  .filter((network) => !formatNetwork(network).startsWith("::ffff:"));

/** First and last address as numbers, computed another way than the code under test does. */
function rangeOf({ family, bytes, prefix }: Network): readonly [bigint, bigint] {
  const first = bytes.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
  return [first, first + (1n << BigInt(bits[family] - prefix)) - 1n];
}

function refusal(text: string): string {
  try {
    parseNetwork(text);
  } catch (error) {
    assert.ok(error instanceof NetworkSyntaxError);
    return error.message;
  }
  return assert.fail(`accepted ${text}`);
}

test("what is formatted is read back as the same network", () => {
  fc.assert(fc.property(networks, (network) => assert.deepEqual(parseNetwork(formatNetwork(network)), network)));
});

test("of digits and dots exactly those texts are IPv4 addresses that Node takes for such", () => {
  const digits = fc.stringMatching(/^[0-9]{0,4}$/);
  const quads = fc
    .array(fc.oneof(digits, fc.nat(300).map(String)), { minLength: 3, maxLength: 5 })
    .map((parts) => parts.join("."));
  fc.assert(
    fc.property(fc.oneof(quads, fc.stringMatching(/^[0-9.]{0,16}$/)), (text) => {
      if (isIPv4(text)) assert.deepEqual(parseNetwork(text), { family: 4, bytes: text.split(".").map(Number), prefix: 32 });
      else assert.throws(() => parseNetwork(text), NetworkSyntaxError);
    }),
    { numRuns: 1000 },
  );
});

test("any text is refused with NetworkSyntaxError or has a canonical form that stays as it is", () => {
  const texts = fc.oneof(
    fc.string(),
    fc.ipV4Extended(),
    fc.ipV6(),
    fc.tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(130)).map((parts) => parts.join("/")),
  );
  fc.assert(
    fc.property(texts, (text) => {
      let canonical: string;
      try {
        canonical = formatNetwork(parseNetwork(text));
      } catch (error) {
        assert.ok(error instanceof NetworkSyntaxError);
        return;
      }
      assert.equal(formatNetwork(parseNetwork(canonical)), canonical);
    }),
  );
});

test("a network contains another exactly when its range does, and overlaps when the ranges meet", () => {
  fc.assert(
    fc.property(networks, networks, fc.nat(128), (a, b, shorter) => {
      for (const outer of [b, maskNetwork(a, shorter)]) {
        const [outerFirst, outerLast] = rangeOf(outer);
        const [first, last] = rangeOf(a);
        const sameFamily = outer.family === a.family;
        assert.equal(contains(outer, a), sameFamily && outerFirst <= first && last <= outerLast);
        assert.equal(overlaps(outer, a), sameFamily && outerFirst <= last && first <= outerLast);
      }
    }),
  );
});

test("the order is by family, first address, then widest first, and total", () => {
  fc.assert(
    fc.property(networks, networks, (a, b) => {
      const key = (network: Network) => [BigInt(network.family), rangeOf(network)[0], BigInt(network.prefix)];
      const [left, right] = [key(a), key(b)];
      const place = left.findIndex((part, index) => part !== right[index]);
      const expected = place < 0 ? 0 : Number((left[place] ?? 0n) > (right[place] ?? 0n)) * 2 - 1;
      assert.equal(Math.sign(compareNetworks(a, b)), expected);
      assert.equal(Math.sign(compareNetworks(b, a)), expected === 0 ? 0 : -expected);
    }),
  );
});

for (const [text, canonical] of [
  ["203.0.113.9", "203.0.113.9"],
  ["203.0.113.9/32", "203.0.113.9"],
  ["10.0.0.0/8", "10.0.0.0/8"],
  ["0.0.0.0/0", "0.0.0.0/0"],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
  ["2001:db8:1:2::/64", "2001:db8:1:2::/64"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::ffff:c000:201", "192.0.2.1"],
  ["::ffff:10.0.0.0/104", "10.0.0.0/8"],
] as const) {
  test(`${text} is read as ${canonical}`, () => {
    assert.equal(formatNetwork(parseNetwork(text)), canonical);
  });
}

for (const [text, reason] of [
  ["010.0.0.1", /leading zeros/],
  ["10.0.0.01", /leading zeros/],
  ["10.0.0.1/24", /the network is 10\.0\.0\.0\/24/],
  ["2001:db8::1/64", /the network is 2001:db8::\/64/],
  ["fe80::1%eth0", /zone/],
  ["10.0.0.0/33", /at most 32/],
  ["2001:db8::/129", /at most 128/],
  ["::ffff:10.0.0.0/95", /at most 128/],
  ["10.0.0.0/08", /leading zeros/],
  ["10.0.0.0/", /prefix length/],
  ["10.0.0.0/+8", /prefix length/],
  ["10.0.0.0/8/8", /prefix length/],
  ["10.0.0", /not an IPv4 or IPv6 address/],
  ["256.0.0.1", /not an IPv4 or IPv6 address/],
  [" 10.0.0.1", /not an IPv4 or IPv6 address/],
  ["10.0.0.1\n", /not an IPv4 or IPv6 address/],
  ["", /not an IPv4 or IPv6 address/],
] as const) {
  test(`${JSON.stringify(text)} is refused: ${reason.source}`, () => {
    assert.match(refusal(text), reason);
  });
}

test("where one address is wanted a network is refused, of one address too", () => {
  assert.throws(() => parseAddress("10.0.0.1/32"), NetworkSyntaxError);
  assert.equal(formatNetwork(parseAddress("10.0.0.1")), "10.0.0.1");
});

test("only the full prefix length makes a single address", () => {
  assert.equal(isSingleAddress(parseNetwork("10.0.0.1/32")), true);
  assert.equal(isSingleAddress(parseNetwork("10.0.0.0/31")), false);
  assert.equal(isSingleAddress(parseNetwork("2001:db8::1")), true);
  assert.equal(isSingleAddress(parseNetwork("2001:db8::/127")), false);
});

test("the networks around an address are all that hold it, widest first", () => {
  const around = networksAround(parseNetwork("203.0.113.9"));
  assert.equal(around.length, 33);
  assert.deepEqual(
    [0, 1, 24, 31, 32].map((prefix) => around[prefix] && formatNetwork(around[prefix])),
    ["0.0.0.0/0", "128.0.0.0/1", "203.0.113.0/24", "203.0.113.8/31", "203.0.113.9"],
  );
  assert.equal(networksAround(parseNetwork("2001:db8::/64")).length, 65);
});

test("netmasks are written as iptables prints them", () => {
  assert.equal(netmask(4, 24), "255.255.255.0");
  assert.equal(netmask(4, 9), "255.128.0.0");
  assert.equal(netmask(6, 32), "ffff:ffff::");
  assert.equal(netmask(6, 0), "::");
});
