import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseNetwork } from "../../../src/domain/network.ts";
import type { Policy } from "../../../src/domain/policy.ts";
import {
  type BanHome,
  banHomeName,
  banHomeOf,
  countPrefix,
  exemptionsOf,
  heldHomeOf,
  isHeldHome,
  longestSetTimeout,
  narrowExemptions,
  parseBanHomeName,
} from "../../../src/netfilter/bans/ban-home.ts";
import { activityName, canaryName, graceListName, graceSetName, operatorName } from "../../../src/netfilter/bans/names.ts";
import { samplePolicy } from "../../support/samples.ts";
import { banHomeFor } from "../host.ts";
import { classicBan, somePolicies } from "../some-policies.ts";

const policyName = fc.stringMatching(/^[a-z][a-z0-9-]{0,19}$/);
const family = fc.constantFrom(4 as const, 6 as const);
const plain = { noNullPrototype: true } as const;
const rejectWith = fc.constantFrom("tcp-reset" as const, "icmp-port-unreachable" as const, "drop" as const);
const exemptions = fc.oneof(fc.constant("all"), fc.stringMatching(/^x[0-9a-f]{8}$/));
const prefix = fc.integer({ min: 8, max: 128 });
const scopes = fc.oneof(
  fc.record({ scope: fc.constant("host" as const), policy: fc.constant(null) }, plain),
  fc.record({ scope: fc.constant("ports" as const), policy: policyName }, plain),
);
const terms = fc.record({ family, prefix, rejectWith, exemptions }, plain);
const seconds = fc.integer({ min: 1, max: 4_294_967 });

const someList: fc.Arbitrary<BanHome> = fc
  .tuple(terms, scopes, fc.option(seconds), fc.boolean())
  .map(([rest, scope, time, renewOnAttempt]) => ({ storage: "recent", ...rest, ...scope, seconds: time, renewOnAttempt }));
const someHostSet: fc.Arbitrary<BanHome> = fc
  .tuple(terms, fc.option(fc.integer({ min: 1, max: longestSetTimeout })))
  .map(([rest, time]) => ({
    ...{ storage: "ipset", scope: "host", policy: null },
    ...rest,
    seconds: time,
    renewOnAttempt: time !== null,
  }));

describe("the name of a home", () => {
  test("says all of a list, and is read back", () => {
    fc.assert(fc.property(someList, (home) => assert.deepEqual(parseBanHomeName("recent", banHomeName(home), []), home)));
  });

  test("says all of a set of those who are banned from the host, and is read back", () => {
    fc.assert(fc.property(someHostSet, (home) => assert.deepEqual(parseBanHomeName("ipset", banHomeName(home), []), home)));
  });

  test("says with the terms of its policy all of a set of those who are banned from ports", () => {
    fc.assert(
      fc.property(somePolicies(4), family, (policies, of) => {
        for (const policy of policies) {
          const home = banHomeOf(policy, of, true);
          if (home) assert.deepEqual(parseBanHomeName("ipset", banHomeName(home), policies), home);
        }
      }),
    );
  });

  test("of a set is still a home when its policy is gone or bans nobody any more", () => {
    const policy = samplePolicy({ ban: { seconds: 60, scope: "ports", renewOnAttempt: true }, rejectWith: "drop" });
    const name = banHomeFor(policy);
    const home = { storage: "ipset", family: 4, scope: "ports", seconds: null, prefix: 32, renewOnAttempt: false } as const;
    const [all, owner] = [{ exemptions: "all" }, { policy: "mysql" }];
    assert.deepEqual(parseBanHomeName("ipset", name, []), { ...home, ...all, ...owner, rejectWith: "tcp-reset" });
    assert.deepEqual(parseBanHomeName("ipset", name, [{ ...policy, ban: null }]), {
      ...home,
      ...all,
      ...owner,
      rejectWith: "drop",
    });
  });

  test("holds only what netfilter, ipset and the file system take, and is short enough: 31 characters for a set", () => {
    const longest: Policy = samplePolicy({
      name: "a".repeat(20),
      ban: { seconds: longestSetTimeout, scope: "host", renewOnAttempt: true },
    });
    const wide = { countPer: { ipv4Prefix: 32, ipv6Prefix: 128 }, exempt: ["2001:db8::1"] };
    const sets = (["host", "ports"] as const).map((scope) =>
      banHomeFor({ ...longest, ...wide, ban: { seconds: longestSetTimeout, scope, renewOnAttempt: true } }, 6),
    );
    for (const name of sets) assert.match(name, /^cld6-[a-z0-9-]{1,26}$/);
    fc.assert(
      fc.property(someList, someHostSet, (list, set) => {
        assert.match(banHomeName(list), /^cld[46]-[a-z0-9-]{1,190}$/);
        assert.match(banHomeName(set), /^cld[46]-[a-z0-9-]{1,26}$/);
      }),
    );
  });

  test("is another one as soon as the terms differ", () => {
    fc.assert(
      fc.property(someList, someList, (one, other) => assert.equal(banHomeName(one) === banHomeName(other), isSame(one, other))),
    );
    fc.assert(
      fc.property(someHostSet, someHostSet, (one, other) =>
        assert.equal(banHomeName(one) === banHomeName(other), isSame(one, other)),
      ),
    );
  });

  test("of another making is none", () => {
    const others = [
      ...["", "f2b-sshd", operatorName(4), canaryName(6), activityName(4), graceSetName(4), graceListName(6, 64)],
      ...["cld4-host-60s-32-reset-once", "cld5-host-60s-32-reset-once-all", "cld4-host-60-32-reset-once-all"],
      ...["cld4-host-60s-32-refuse-once-all", "cld4-host-60s-32-reset-once-x123", "cld4-host-60s-32-reset-once-all-mysql"],
      ...["cld4-ports-60s-32-reset-once-all", "cld4-ports-60s-32-reset-once-all-9mysql", "xcld4-host-60s-32-reset-once-all"],
      ...["cld4-host-60s-32-reset-once-all\n", "cld4-h32xo-all", "cld4-h32rn-all", "cld4-h32ro-x12", "cld4-p32-", "cld4-p-mysql"],
      ...["cld4-p32-9mysql", "cld4-w32-mysql", "cld4-who-32-mysql", "cld4-h32ro-all\n"],
    ];
    for (const name of others) {
      for (const storage of ["recent", "ipset"] as const) assert.equal(parseBanHomeName(storage, name, []), undefined, name);
    }
  });
});

function isSame(one: BanHome, other: BanHome): boolean {
  return (Object.keys(one) as (keyof BanHome)[]).every((key) => one[key] === other[key]);
}

for (const withSets of [false, true]) {
  describe(`with ipset ${withSets ? "there" : "missing"}, a policy`, () => {
    test("bans into no home while it enforces no ban", () => {
      const policies = [samplePolicy(), ...(["observe", "off"] as const).map((mode) => samplePolicy({ ban: classicBan, mode }))];
      for (const policy of policies) assert.equal(banHomeOf(policy, 4, withSets), undefined);
    });

    test("bans from the host into a home that it shares, and from its ports into its own", () => {
      assert.equal(banHomeOf(samplePolicy({ ban: classicBan }), 4, withSets)?.policy, null);
      assert.equal(banHomeOf(samplePolicy({ ban: { ...classicBan, scope: "ports" } }), 4, withSets)?.policy, "mysql");
    });

    test("bans into another home as soon as scope, prefix, renewal or the way of refusing differs", () => {
      const policies = [
        samplePolicy({ ban: classicBan }),
        samplePolicy({ ban: { ...classicBan, scope: "ports" } }),
        samplePolicy({ ban: { ...classicBan, renewOnAttempt: true } }),
        samplePolicy({ ban: classicBan, rejectWith: "drop" }),
        samplePolicy({ ban: classicBan, rejectWith: "icmp-port-unreachable" }),
        samplePolicy({ ban: classicBan, countPer: { ipv4Prefix: 24, ipv6Prefix: 64 } }),
      ];
      assert.equal(new Set(policies.map((policy) => banHomeFor(policy, 4, withSets))).size, policies.length);
    });

    test("shares a home only with policies whose narrow exemptions are the same, in any order", () => {
      const nameFor = (...exempt: readonly string[]) =>
        banHomeFor(samplePolicy({ ban: classicBan, countPer: { ipv4Prefix: 24, ipv6Prefix: 64 }, exempt }), 4, withSets);
      assert.equal(nameFor("192.0.2.1", "192.0.2.2"), nameFor("192.0.2.2", "192.0.2.1"));
      assert.notEqual(nameFor("192.0.2.1"), nameFor("192.0.2.2"));
      assert.equal(nameFor("10.0.0.0/8", "2001:db8::1"), nameFor());
    });
  });
}

describe("a home", () => {
  const lasting = (time: number) => samplePolicy({ ban: { ...classicBan, seconds: time } });

  test("is a set, one for bans of any length, as long as ipset can keep time; beyond, a list", () => {
    assert.equal(banHomeFor(lasting(60)), banHomeFor(lasting(longestSetTimeout)));
    assert.equal(banHomeOf(lasting(longestSetTimeout), 4, true)?.storage, "ipset");
    assert.equal(banHomeOf(lasting(longestSetTimeout + 1), 4, true)?.storage, "recent");
  });

  test("is a list of its own for each length without ipset", () => {
    assert.notEqual(banHomeFor(lasting(60), 4, false), banHomeFor(lasting(61), 4, false));
  });

  test("takes a lost ban back itself where it is a set, and where it is a list has another for that", () => {
    const [set, list] = ([true, false] as const).map((withSets) => banHomeOf(lasting(60), 4, withSets));
    assert.ok(set && list);
    assert.deepEqual(heldHomeOf(set, true), set);
    assert.equal(banHomeName(heldHomeOf(list, true)), "cld4-host-held-32-reset-once-all");
    assert.equal(isHeldHome(banHomeName(heldHomeOf(list, true))), true);
    for (const home of [set, list]) assert.equal(isHeldHome(banHomeName(home)), false);
  });

  test("that was a set takes a lost ban back in a list where ipset is gone", () => {
    const set = banHomeOf(lasting(60), 4, true);
    assert.ok(set);
    assert.equal(banHomeName(heldHomeOf(set, false)), "cld4-host-held-32-reset-once-all");
  });
});

describe("exemptions", () => {
  const exempt = ["10.0.0.0/8", "192.0.2.0/24", "192.0.2.7", "2001:db8::1"];
  const policy = samplePolicy({ exempt, countPer: { ipv4Prefix: 24, ipv6Prefix: 64 } });

  test("are those of the family", () => {
    assert.deepEqual(exemptionsOf(policy, 6), [parseNetwork("2001:db8::1")]);
    assert.deepEqual([countPrefix(policy, 4), countPrefix(policy, 6)], [24, 64]);
  });

  test("are narrow when they are only a part of one counted network", () => {
    assert.deepEqual(narrowExemptions(policy, 4), [parseNetwork("192.0.2.7")]);
    assert.deepEqual(narrowExemptions(policy, 6), [parseNetwork("2001:db8::1")]);
  });
});
