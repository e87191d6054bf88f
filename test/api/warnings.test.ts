import assert from "node:assert/strict";
import { test } from "node:test";
import { type Warning, warningCodes, warningsOf } from "../../src/api/status/warnings.ts";
import type { KernelFacts, ListFill } from "../../src/domain/inspection.ts";
import type { DomainStatus } from "../../src/domain/services.ts";
import { soundFacts } from "./fake-inspector.ts";

const sound: DomainStatus = {
  inStep: true,
  failure: null,
  policies: { enforce: 0, observe: 0, off: 0 },
  bans: {
    ipv4: { operatorBans: 0, capacity: 65_636 },
    ipv6: { operatorBans: 0, capacity: 65_636 },
    policyBans: 0,
    notEnforced: 0,
    networks: true,
    remedy: "remove bans that are not needed",
  },
  graces: 0,
  shadowedBy: [],
  overLimit: [],
};

function warnings(status: Partial<DomainStatus> = {}, facts: Partial<KernelFacts> = {}): readonly Warning[] {
  return warningsOf({ ...sound, ...status }, { ...soundFacts, ...facts });
}

function codes(...args: Parameters<typeof warnings>): readonly string[] {
  return warnings(...args).map(({ code }) => code);
}

function list(kind: ListFill["kind"], entries: number, capacity: number): ListFill {
  return { name: `cld4-${kind}`, kind, entries, capacity };
}

function withCapacity(capacity: number): Partial<DomainStatus> {
  return { bans: { ...sound.bans, ipv4: { operatorBans: 0, capacity }, ipv6: { operatorBans: 0, capacity } } };
}

test("where nothing is wrong there is no warning", () => {
  assert.deepEqual(warnings(), []);
  assert.deepEqual(codes({}, { backend: "legacy" }), []);
});

test("a kernel that is not in step is told with its reason", () => {
  const [warning] = warnings({ inStep: false, failure: "the xtables lock is held" });
  assert.equal(warning?.code, "not-in-step");
  assert.match(warning.message, /the xtables lock is held/);
});

test("both backends in use are told with the way to one of them", () => {
  const [warning] = warnings({}, { otherBackendInUse: true });
  assert.equal(warning?.code, "both-backends");
  assert.match(warning.message, /uses iptables-nft, and the legacy backend has rules too/);
  assert.match(warning.remedy, /iptables-legacy-save \| iptables-nft-restore --noflush/);
});

test("rules of others above ours are named, many of them counted", () => {
  const [one] = warnings({ shadowedBy: ["IPv4 filter: -A INPUT -j ACCEPT"] });
  assert.equal(one?.code, "rules-above");
  assert.match(one.message, /^1 rule of others is asked before .*: IPv4 filter: -A INPUT -j ACCEPT\.$/);
  const [many] = warnings({ shadowedBy: Array.from({ length: 200 }, (_, index) => `rule ${index}`) });
  assert.match(many?.message ?? "", /^200 rules of others are asked .*rule 0; rule 1; rule 2; rule 3; rule 4; and 195 more\.$/);
});

test("legacy's forgotten counts are told with their time, the remedy and how many sources are above a limit", () => {
  const countsForgottenAt = Date.UTC(2026, 10, 22, 8);
  const facts = { backend: "legacy", countsForgottenAt } as const;
  const [none] = warnings({}, facts);
  assert.equal(none?.code, "counts-forgotten");
  assert.match(none.message, /at 2026-11-22T08:00:00\.000Z .*No source is above a limit now\.$/);
  assert.match(none.remedy, /CONNLIMITD_BACKEND=nft.*as rarely as possible/);
  const source = { source: "203.0.113.9", connections: 9, maxConnections: 2 };
  const overLimit = [
    { policy: "mysql", ...source },
    { policy: "web", ...source },
  ];
  assert.match(warnings({ overLimit }, facts)[0]?.message ?? "", /1 source is above a limit now\.$/);
  assert.deepEqual(codes({ overLimit }, { countsForgottenAt }), [], "nft keeps the counts of rules that are not written");
});

test("a set is nearly full above 80 %", () => {
  assert.deepEqual(codes({}, { lists: [list("ipset", 80, 100), list("ipset", 0, 0)] }), []);
  const [warning] = warnings({}, { lists: [list("ipset", 81, 100)] });
  assert.equal(warning?.code, "lists-nearly-full");
  assert.match(warning.message, /^1 list of the kernel is nearly full: cld4-ipset has 81 of 100\.$/);
  assert.match(warning.remedy, /remove bans that are not needed/);
});

test("a full xt_recent list matters only where no ipset takes more", () => {
  const lists = [list("xt_recent", 100, 100)];
  assert.deepEqual(codes({}, { lists }), []);
  assert.ok(codes({}, { lists, withoutSets: "ipset is not installed" }).includes("lists-nearly-full"));
});

test("a missing ipset is told with its reason, and with small lists where they are", () => {
  const facts = { withoutSets: "the program ipset is missing" };
  const [warning] = warnings(withCapacity(4096), facts);
  assert.equal(warning?.code, "no-ipset");
  assert.match(warning.message, /the program ipset is missing/);
  assert.match(warning.remedy, /apt install ipset/);
  assert.deepEqual(codes(withCapacity(4096), facts), ["no-ipset"]);
  assert.deepEqual(codes(withCapacity(100), facts), ["no-ipset", "small-lists"]);
  assert.deepEqual(codes(withCapacity(100)), []);
});

test("everything at once comes the gravest first, each with a message and a remedy", () => {
  const all = warnings(
    { ...withCapacity(100), inStep: false, failure: null, shadowedBy: ["-A INPUT -j ACCEPT"] },
    {
      backend: "legacy",
      otherBackendInUse: true,
      withoutSets: "no ipset",
      missingPrograms: ["conntrack"],
      countsForgottenAt: 0,
      lists: [list("xt_recent", 100, 100)],
    },
  );
  assert.deepEqual(
    all.map(({ code }) => code),
    warningCodes,
  );
  for (const { message, remedy } of all) {
    assert.match(message, /^[A-Z0-9].*\.$/s);
    assert.match(remedy, /^[A-Z].*\.$/s);
  }
});
