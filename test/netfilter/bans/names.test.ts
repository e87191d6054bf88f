import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { countPrefix } from "../../../src/netfilter/bans/ban-home.ts";
import {
  activityName,
  canaryName,
  graceListName,
  graceSetName,
  offenderListName,
  offenderListOf,
  offenderSetName,
  operatorName,
  parseOffenderName,
} from "../../../src/netfilter/bans/names.ts";
import { ownListPattern } from "../../../src/netfilter/recent/list-files.ts";
import { banHomeFor } from "../host.ts";
import { somePolicies } from "../some-policies.ts";

const family = fc.constantFrom(4 as const, 6 as const);
const someOffenders = fc.record(
  { family, prefix: fc.integer({ min: 8, max: 128 }), policy: fc.stringMatching(/^[a-z][a-z0-9-]{0,19}$/) },
  { noNullPrototype: true },
);
const fixed = (of: 4 | 6) => [operatorName(of), canaryName(of), activityName(of), graceSetName(of), graceListName(of, 32)];

describe("the name of a list or set of offenders", () => {
  test("says whose they are and by which prefix they are told apart, and is read back", () => {
    fc.assert(
      fc.property(someOffenders, (list) => {
        assert.deepEqual(parseOffenderName(offenderListName(list)), list);
        assert.deepEqual(parseOffenderName(offenderSetName(list)), list);
      }),
    );
  });

  test("is short enough, 31 characters for a set, and holds only what the kernel takes", () => {
    const longest = { family: 6, prefix: 128, policy: "a".repeat(20) } as const;
    assert.ok(offenderSetName(longest).length <= 31);
    fc.assert(fc.property(someOffenders, (list) => assert.match(offenderListName(list), ownListPattern)));
  });

  test("of another making is none", () => {
    for (const name of [...fixed(4), "", "f2b-sshd", "cld4-who-x-mysql", "cld4-who-32-", "cld4-w32-Mysql", "cld5-w32-mysql"]) {
      assert.equal(parseOffenderName(name), undefined, name);
    }
  });

  test("is no ban's home, and no home is it", () => {
    fc.assert(
      fc.property(somePolicies(3), family, fc.boolean(), (policies, of, withSets) => {
        for (const policy of policies.filter(({ ban, mode }) => ban !== null && mode === "enforce")) {
          assert.equal(parseOffenderName(banHomeFor(policy, of, withSets)), undefined);
        }
      }),
    );
  });

  test("is by the policy's name and the prefix of the family", () => {
    fc.assert(
      fc.property(somePolicies(3), family, (policies, of) => {
        for (const policy of policies) {
          assert.deepEqual(offenderListOf(policy, of), { family: of, prefix: countPrefix(policy, of), policy: policy.name });
        }
      }),
    );
  });
});

test("every list and set of a fixed name is the family's own", () => {
  const names = [...fixed(4), ...fixed(6)];
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, ownListPattern);
});
