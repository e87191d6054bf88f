import assert from "node:assert/strict";
import { test } from "node:test";
import { DomainError } from "../../src/domain/errors.ts";
import type { PolicySpec } from "../../src/domain/policy.ts";
import { validatePolicyName, validatePolicySpec } from "../../src/domain/policy-rules.ts";
import { samplePolicySpec } from "../support/samples.ts";

function pointersOf(different: Partial<PolicySpec>): readonly string[] {
  try {
    validatePolicySpec(samplePolicySpec(different));
  } catch (error) {
    assert.ok(error instanceof DomainError);
    assert.equal(error.code, "invalid-input");
    return error.errors.map(({ pointer, message }) => {
      assert.notEqual(message, "");
      return pointer;
    });
  }
  return [];
}

const ban = { scope: "host", renewOnAttempt: false } as const;

for (const [what, different] of [
  [
    "the least of everything",
    { ports: [1], maxConnections: 1, countPer: { ipv4Prefix: 8, ipv6Prefix: 16 }, ban: { ...ban, seconds: 1 } },
  ],
  [
    "the most of everything",
    {
      description: "🧱".repeat(200),
      ports: Array.from({ length: 15 }, (_, index) => 65_535 - index),
      maxConnections: 1_000_000,
      countPer: { ipv4Prefix: 32, ipv6Prefix: 128 },
      ban: { ...ban, seconds: 4_294_967 },
      exempt: Array.from({ length: 64 }, (_, index) => `10.${index}.0.0/16`),
    },
  ],
  ["quotes, backticks, emoji and $(...) in the description", { description: "'\"`$(reboot) 👩‍👩‍👧" }],
  ["exempt networks in any order", { exempt: ["2001:db8::/32", "10.0.0.0/8", "192.0.2.1"] }],
] as const) {
  test(`a policy takes ${what}`, () => {
    assert.deepEqual(pointersOf(different), []);
  });
}

for (const [what, different, pointer] of [
  ["a line break in the description", { description: "a\nb" }, "/description"],
  ["an escape in the description", { description: "\u001b[2J" }, "/description"],
  ["a C1 control character in the description", { description: "\u0085" }, "/description"],
  ["half a surrogate pair in the description", { description: "\ud83e" }, "/description"],
  ["201 characters of description", { description: "🧱".repeat(201) }, "/description"],
  ["no port", { ports: [] }, "/ports"],
  ["16 ports", { ports: Array.from({ length: 16 }, (_, index) => index + 1) }, "/ports"],
  ["port 0", { ports: [80, 0] }, "/ports/1"],
  ["port 65536", { ports: [65_536] }, "/ports/0"],
  ["half a port", { ports: [80.5] }, "/ports/0"],
  ["a port twice", { ports: [80, 80] }, "/ports/1"],
  ["no connection", { maxConnections: 0 }, "/maxConnections"],
  ["1,000,001 connections", { maxConnections: 1_000_001 }, "/maxConnections"],
  ["an IPv4 prefix of 7", { countPer: { ipv4Prefix: 7, ipv6Prefix: 64 } }, "/countPer/ipv4Prefix"],
  ["an IPv6 prefix of 129", { countPer: { ipv4Prefix: 32, ipv6Prefix: 129 } }, "/countPer/ipv6Prefix"],
  ["a ban of no time", { ban: { ...ban, seconds: 0 } }, "/ban/seconds"],
  ["a ban that xt_recent can't count", { ban: { ...ban, seconds: 4_294_968 } }, "/ban/seconds"],
  ["65 exempt networks", { exempt: Array.from({ length: 65 }, (_, index) => `10.${index}.0.0/16`) }, "/exempt"],
  ["an exempt network twice", { exempt: ["10.0.0.0/8", "10.0.0.0/8"] }, "/exempt/1"],
  ["an exempt network that is none", { exempt: ["10.0.0.0/8", "office"] }, "/exempt/1"],
] as const) {
  test(`a policy refuses ${what} and names ${pointer}`, () => {
    assert.deepEqual(pointersOf(different), [pointer]);
  });
}

for (const [text, canonical] of [
  ["10.0.0.1/24", "10.0.0.0/24"],
  ["10.0.0.1/32", "10.0.0.1"],
  ["2001:DB8::/32", "2001:db8::/32"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
] as const) {
  test(`${text} as an exempt network is refused by its canonical form ${canonical}`, () => {
    assert.throws(
      () => validatePolicySpec(samplePolicySpec({ exempt: [text] })),
      (error) => {
        assert.ok(error instanceof DomainError);
        assert.equal(error.errors[0]?.pointer, "/exempt/0");
        assert.ok(error.errors[0].message.endsWith(` ${canonical}`));
        return true;
      },
    );
  });
}

test("every wrong field is named at once", () => {
  assert.deepEqual(pointersOf({ description: "\t", ports: [0, 0], maxConnections: 0, exempt: ["x"] }), [
    "/description",
    "/ports/0",
    "/ports/1",
    "/ports/1",
    "/maxConnections",
    "/exempt/0",
  ]);
});

for (const name of ["", "a".repeat(21), "Mysql", "my/sql", "mysql\n", "1st", "-a", "a_b"]) {
  test(`${JSON.stringify(name)} is refused as a policy's name`, () => {
    assert.throws(() => validatePolicyName(name, "/name"), { code: "invalid-input" });
  });
}

test("a policy's name takes 20 letters, digits and hyphens", () => {
  assert.doesNotThrow(() => validatePolicyName("a234567890-234567890".slice(0, 20), "/name"));
  assert.doesNotThrow(() => validatePolicyName("a", "/name"));
});
