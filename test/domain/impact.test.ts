import assert from "node:assert/strict";
import { test } from "node:test";
import { countFor, countIn, policyImpact } from "../../src/domain/impact.ts";
import { parseNetwork } from "../../src/domain/network.ts";
import { banDefaults } from "../../src/domain/policy.ts";
import type { Connections } from "../../src/domain/ports.ts";
import { samplePolicy, samplePolicySpec } from "../support/samples.ts";
import { createTestServices, sampleBanRequest, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();
const ban = { ...banDefaults, seconds: 60 };

test("a limit's impact names the sources above it, by the policy's own prefixes and over all its ports", async (t) => {
  const { connections, policies } = createTestServices(t);
  connections.open("203.0.113.1", 80, 2);
  connections.open("203.0.113.1", 443, 1);
  connections.open("203.0.113.2", 443, 2);
  connections.open("203.0.113.3", 3306, 9);
  connections.open("2001:db8:0:1::1", 80, 2);
  connections.open("2001:db8:0:1:ffff::1", 443, 2);
  connections.open("2001:db8:0:2::1", 443, 2);
  const spec = samplePolicySpec({ ports: [80, 443], maxConnections: 2 });
  const { impact, warnings } = await policies.foresee.put("web", spec, {}, terms);
  assert.deepEqual(impact.sources, [
    { source: "2001:db8:0:1::/64", connections: 4, limit: 2, outcome: "refused" },
    { source: "203.0.113.1", connections: 3, limit: 2, outcome: "refused" },
  ]);
  assert.deepEqual(warnings, []);
  const wide = { ...spec, countPer: { ipv4Prefix: 24, ipv6Prefix: 48 } };
  assert.deepEqual(
    (await policies.foresee.put("web", wide, {}, terms)).impact.sources.map(
      ({ source, connections }) => `${source} ${connections}`,
    ),
    ["2001:db8::/48 6", "203.0.113.0/24 5"],
  );
});

test("sources that a policy never counts are listed with the reason", async (t) => {
  const { connections, policies } = createTestServices(t);
  for (const source of ["203.0.113.1", "203.0.113.9", "10.1.0.7", "127.0.0.1"]) connections.open(source, 3306, 3);
  connections.open("203.0.113.10", 3306, 2);
  const spec = samplePolicySpec({ exempt: ["203.0.113.8/29"] });
  assert.deepEqual((await policies.foresee.create("mysql", spec, terms)).impact.sources, [
    { source: "10.1.0.7", connections: 3, limit: 2, outcome: "protected" },
    { source: "127.0.0.1", connections: 3, limit: 2, outcome: "protected" },
    { source: "203.0.113.1", connections: 3, limit: 2, outcome: "refused" },
    { source: "203.0.113.9", connections: 3, limit: 2, outcome: "exempt" },
  ]);
});

for (const [mode, banned, outcomes] of [
  ["enforce", null, ["refused"]],
  ["enforce", ban, ["banned"]],
  ["observe", ban, ["observed"]],
  ["off", ban, []],
] as const) {
  test(`a policy in mode ${mode} with${banned === null ? "out" : ""} a ban has the impact ${outcomes.join() || "of none"}`, async (t) => {
    const { connections, policies } = createTestServices(t);
    connections.open("203.0.113.1", 3306, 3);
    const { impact } = await policies.foresee.put("mysql", samplePolicySpec({ mode, ban: banned }), {}, terms);
    assert.deepEqual(
      impact.sources.map(({ outcome }) => outcome),
      outcomes,
    );
  });
}

test("the impact of an edit that changes nothing is the policy's, and a removal has none", async (t) => {
  const { connections, policies } = createTestServices(t);
  await policies.put("mysql", samplePolicySpec(), {}, terms);
  connections.open("203.0.113.1", 3306, 3);
  const same = await policies.foresee.edit("mysql", (current) => current, {}, terms);
  assert.deepEqual([same.changed, same.impact.sources.length], [false, 1]);
  assert.deepEqual((await policies.foresee.remove("mysql", {}, terms)).impact.sources, []);
});

test("a ban's impact is every connection that it covers, to any port", async (t) => {
  const { connections, bans } = createTestServices(t);
  connections.open("198.51.100.1", 3306, 2);
  connections.open("198.51.100.1", 443, 3);
  connections.open("198.51.100.2", 80);
  connections.open("198.51.101.1", 80);
  connections.open("2001:db8::1", 80);
  const one = (source: string, count: number) => ({ source, connections: count, limit: 0, outcome: "banned" });
  const foreseen = await bans.foresee.put("198.51.100.0/24", sampleBanRequest(), {}, terms);
  assert.deepEqual(foreseen.impact.sources, [one("198.51.100.1", 5), one("198.51.100.2", 1)]);
  assert.equal(foreseen.result.severed, 6);
  const left = await bans.foresee.put("198.51.100.0/24", sampleBanRequest({ sever: false }), {}, terms);
  assert.deepEqual([left.impact.sources.length, left.result.severed], [2, null]);
  const put = [
    { address: "198.51.100.1", ...sampleBanRequest({ sever: false }) },
    { address: "2001:db8::/64", ...sampleBanRequest() },
  ];
  const batch = await bans.foresee.batch({ put, delete: [] }, terms);
  assert.deepEqual(batch.impact.sources, [one("198.51.100.1", 5), one("2001:db8::1", 1)]);
  assert.equal(batch.result.severed, 1);
});

/** `count` sources, of which the one with number n holds n % 7 + 1 connections. */
function crowd(count: number): Pick<Connections, "scan"> {
  return {
    async scan(visit) {
      for (let number = 0; number < count; number += 1) {
        const source = `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
        for (let connection = 0; connection <= number % 7; connection += 1) visit(source, 3306);
      }
    },
  };
}

test("of very many sources the thousand with the most connections are listed, and the rest are counted", async () => {
  const count = await countFor(samplePolicy({ maxConnections: 2 }), [], crowd(50_000));
  const { impact, warnings } = policyImpact(count);
  assert.equal(impact.sources.length, 1000);
  assert.deepEqual(new Set(impact.sources.map(({ connections }) => connections)), new Set([7]));
  assert.deepEqual(impact.sources[0]?.source, "10.0.0.6");
  // 5 of 7 sources are above the limit.
  assert.deepEqual(warnings, ["34714 more sources would be concerned: impact lists the 1000 with the most connections."]);
  const few = policyImpact(await countFor(samplePolicy({ maxConnections: 2 }), [], crowd(1_400)));
  assert.deepEqual([few.impact.sources.length, few.warnings], [1000, []]);
  assert.deepEqual([few.impact.sources[0]?.connections, few.impact.sources.at(-1)?.connections], [7, 3]);
});

test("thousands of networks are held against thousands of sources", async () => {
  const networks = Array.from({ length: 5_000 }, (_, number) => ({
    network: parseNetwork(`10.${number >> 8}.${number & 255}.0/24`),
    severs: number % 2 === 0,
  }));
  const { counts, severed } = await countIn(networks, crowd(20_000));
  assert.equal(counts.size, 20_000);
  const total = [...counts.values()].reduce((sum, one) => sum + one, 0);
  assert.ok(severed > 0.4 * total && severed < 0.6 * total, `${severed} of ${total}`);
});
