// The sets and rules of typical policies, word by word: test/golden/CASE.FAMILY.rules. UPDATE_GOLDEN=1 writes them anew; review them like code.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type Family, parseNetwork } from "../../../src/domain/network.ts";
import type { Policy } from "../../../src/domain/policy.ts";
import { setDefinitions } from "../../../src/netfilter/ipset/set-definitions.ts";
import { banHomes } from "../../../src/netfilter/iptables/ban-rules.ts";
import { compileRuleset } from "../../../src/netfilter/iptables/ruleset.ts";
import { parseSavedTable } from "../../../src/netfilter/iptables/saved-table.ts";
import { diffTable } from "../../../src/netfilter/iptables/table-diff.ts";
import { samplePolicy } from "../../support/samples.ts";
import { classicBan } from "../some-policies.ts";

const directory = join(import.meta.dirname, "../../golden");
const protectedNetworks = ["127.0.0.0/8", "::1"].map(parseNetwork);

const withAndWithoutIpset: Readonly<Record<string, readonly Policy[]>> = {
  "no-policies": [],
  "mysql-classic": [samplePolicy({ ban: classicBan })],
  "ban-from-ports": [
    samplePolicy({
      name: "smtp",
      ports: [25, 465, 587],
      maxConnections: 10,
      ban: { ...classicBan, scope: "ports" },
      rejectWith: "icmp-port-unreachable",
    }),
  ],
  "renewed-ban": [
    samplePolicy({ name: "ssh", ports: [22], ban: { seconds: 600, scope: "host", renewOnAttempt: true }, rejectWith: "drop" }),
  ],
  "exemption-narrower-than-prefix": [
    samplePolicy({
      ban: classicBan,
      countPer: { ipv4Prefix: 24, ipv6Prefix: 56 },
      exempt: ["192.0.2.7", "198.51.100.0/24", "2001:db8:1:1::/64"],
    }),
  ],
};
const withIpset: Readonly<Record<string, readonly Policy[]>> = {
  ...withAndWithoutIpset,
  "limit-without-ban": [
    samplePolicy({ name: "web", ports: [80, 443], maxConnections: 50, exempt: ["10.0.0.0/8", "2001:db8::/32"] }),
  ],
  observe: [samplePolicy({ ban: classicBan, mode: "observe" })],
  "ban-longer-than-ipset-can-keep": [samplePolicy({ ban: { ...classicBan, seconds: 4_000_000 } })],
  "two-policies-of-one-port": [
    samplePolicy({ ban: classicBan }),
    samplePolicy({ name: "networks", ban: { ...classicBan, scope: "ports" }, countPer: { ipv4Prefix: 24, ipv6Prefix: 56 } }),
  ],
  "forty-ports": [1, 2, 3, 4].map((n) =>
    samplePolicy({
      name: `range-${n}`,
      ports: Array.from({ length: 10 }, (_, index) => n * 10_000 + index * 111),
      ban: classicBan,
    }),
  ),
};

interface Case {
  readonly file: string;
  readonly family: Family;
  readonly policies: readonly Policy[];
  readonly withSets: boolean;
}

const cases: readonly Case[] = [
  ...Object.entries(withIpset).flatMap(([name, policies]) =>
    ([4, 6] as const).map((family) => ({ file: `${name}.ipv${family}.rules`, family, policies, withSets: true })),
  ),
  ...Object.entries(withAndWithoutIpset).flatMap(([name, policies]) =>
    ([4, 6] as const).map((family) => ({ file: `${name}.without-ipset.ipv${family}.rules`, family, policies, withSets: false })),
  ),
];

/** What a kernel without any sets and rules is given: lines for `ipset restore`, if any, and those for `iptables-restore`. */
function given({ policies, family, withSets }: Case): string {
  const input = { family, policies, protectedNetworks, withSets, retired: [] };
  const sets = withSets ? setDefinitions(family, policies, banHomes(input)) : [];
  const created = sets.map(({ name, words }) => `create ${name} ${words}`);
  const lines = diffTable(parseSavedTable(""), compileRuleset(input), family).lines;
  return `${[...created, ...(created.length > 0 ? [""] : []), ...lines].join("\n")}\n`;
}

describe("the sets and rules are, word by word, those of the golden file", () => {
  for (const one of cases) {
    test(one.file, () => {
      const file = join(directory, one.file);
      if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(file, given(one));
      assert.ok(existsSync(file), `${file} is not there; UPDATE_GOLDEN=1 makes it`);
      assert.equal(given(one), readFileSync(file, "utf8"));
    });
  }
});

test("there is no golden file without a case", () => {
  assert.deepEqual(readdirSync(directory).sort(), cases.map((one) => one.file).sort());
});
