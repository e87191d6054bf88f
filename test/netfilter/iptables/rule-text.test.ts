import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Family, parseNetwork } from "../../../src/domain/network.ts";
import type { Match, Rule, Target } from "../../../src/netfilter/iptables/rule.ts";
import { ruleText } from "../../../src/netfilter/iptables/rule-text.ts";

const comment = / ?-m comment --comment "cld:([0-9a-f]{12})"/;

function words(rule: Partial<Rule>, family: Family = 4): string {
  return ruleText({ matches: [], target: { kind: "none" }, ...rule }, family)
    .replace(comment, "")
    .trim();
}

function fingerprint(rule: Partial<Rule>): string {
  return comment.exec(ruleText({ matches: [], target: { kind: "none" }, ...rule }, 4))?.[1] ?? "";
}

const tcp: Match = { kind: "protocol", protocol: "tcp" };
const recent: Match = { kind: "recent", command: "rcheck", list: "cld4-x", prefix: 24, seconds: 60 };

const matches: readonly (readonly [string, Match, Family, string])[] = [
  ["an IPv4 network", { kind: "source", network: parseNetwork("10.0.0.0/8") }, 4, "-s 10.0.0.0/8"],
  ["one IPv4 address, with its prefix length", { kind: "source", network: parseNetwork("192.0.2.7") }, 4, "-s 192.0.2.7/32"],
  ["an IPv6 network", { kind: "source", network: parseNetwork("2001:db8::/32") }, 6, "-s 2001:db8::/32"],
  ["one IPv6 address, with its prefix length", { kind: "source", network: parseNetwork("2001:db8::9") }, 6, "-s 2001:db8::9/128"],
  ["TCP", tcp, 4, "-p tcp"],
  ["ICMPv6", { kind: "protocol", protocol: "ipv6-icmp" }, 6, "-p ipv6-icmp"],
  ["one port", { kind: "ports", from: 3306, to: 3306 }, 4, "-m tcp --dport 3306"],
  ["a range of ports", { kind: "ports", from: 0, to: 16383 }, 6, "-m tcp --dport 0:16383"],
  ["the packet that opens a connection", { kind: "new-connection" }, 4, "-m tcp --tcp-flags FIN,SYN,RST,ACK SYN"],
  ["a type of ICMPv6", { kind: "icmpv6", type: 135 }, 6, "-m icmp6 --icmpv6-type 135"],
  ["an entry within a time", recent, 4, "-m recent --rcheck --seconds 60 --name cld4-x --mask 255.255.255.0 --rsource"],
  [
    "an entry that is renewed",
    { kind: "recent", command: "update", list: "cld6-x", prefix: 64, seconds: 1 },
    6,
    "-m recent --update --seconds 1 --name cld6-x --mask ffff:ffff:ffff:ffff:: --rsource",
  ],
  [
    "an entry that is made",
    { kind: "recent", command: "set", list: "cld4-x", prefix: 32 },
    4,
    "-m recent --set --name cld4-x --mask 255.255.255.255 --rsource",
  ],
  [
    "an entry of a single IPv6 address",
    { kind: "recent", command: "rcheck", list: "cld6-x", prefix: 128 },
    6,
    "-m recent --rcheck --name cld6-x --mask ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff --rsource",
  ],
  ["an address in a set", { kind: "set", set: "cld4-x" }, 4, "-m set --match-set cld4-x src"],
  [
    "connections above a number",
    { kind: "connlimit", above: 2, prefix: 64 },
    6,
    "-m connlimit --connlimit-above 2 --connlimit-mask 64 --connlimit-saddr",
  ],
];

const targets: readonly (readonly [string, Target, Family, string])[] = [
  ["a jump", { kind: "jump", chain: "CLD-X" }, 4, "-j CLD-X"],
  ["a goto", { kind: "goto", chain: "CLD-X" }, 4, "-g CLD-X"],
  ["a return", { kind: "return" }, 4, "-j RETURN"],
  ["a drop", { kind: "drop" }, 6, "-j DROP"],
  ["a reset over IPv4", { kind: "reject", with: "tcp-reset" }, 4, "-j REJECT --reject-with tcp-reset"],
  ["a reset over IPv6", { kind: "reject", with: "tcp-reset" }, 6, "-j REJECT --reject-with tcp-reset"],
  [
    "port unreachable over IPv4",
    { kind: "reject", with: "port-unreachable" },
    4,
    "-j REJECT --reject-with icmp-port-unreachable",
  ],
  [
    "port unreachable over IPv6",
    { kind: "reject", with: "port-unreachable" },
    6,
    "-j REJECT --reject-with icmp6-port-unreachable",
  ],
  [
    "an addition to a set",
    { kind: "add-to-set", set: "cld6-x", seconds: 60 },
    6,
    "-j SET --add-set cld6-x src --exist --timeout 60",
  ],
  ["no target", { kind: "none" }, 4, ""],
];

describe("a match is written as iptables-save prints it:", () => {
  for (const [name, match, family, text] of matches) test(name, () => assert.equal(words({ matches: [match] }, family), text));

  test("matches of TCP that follow each other share one -m tcp", () => {
    const text = words({ matches: [tcp, { kind: "ports", from: 80, to: 80 }, { kind: "new-connection" }, recent] });
    assert.match(text, /^-p tcp -m tcp --dport 80 --tcp-flags FIN,SYN,RST,ACK SYN -m recent /);
  });

  test("matches of TCP with another match between them each have their -m tcp", () => {
    const text = words({ matches: [tcp, { kind: "ports", from: 80, to: 80 }, recent, { kind: "new-connection" }] });
    assert.equal(text.split("-m tcp").length - 1, 2);
  });
});

describe("a target is written as iptables-save prints it:", () => {
  for (const [name, target, family, text] of targets) test(name, () => assert.equal(words({ target }, family), text));
});

describe("the fingerprint", () => {
  const rule: Rule = { matches: [tcp], target: { kind: "drop" } };

  test("stands in a comment between the matches and the target", () => {
    assert.match(ruleText(rule, 4), /^-p tcp -m comment --comment "cld:[0-9a-f]{12}" -j DROP$/);
  });

  test("is the same for the same rule", () => {
    assert.equal(fingerprint(rule), fingerprint(structuredClone(rule)));
  });

  test("differs with each part of the rule", () => {
    const others = [
      rule,
      { ...rule, matches: [] },
      { ...rule, target: { kind: "return" } as const },
      { ...rule, identity: "3306" },
    ];
    assert.equal(new Set(others.map(fingerprint)).size, others.length);
  });

  test("is all that an identity changes", () => {
    assert.equal(words({ ...rule, identity: "3306" }), words(rule));
    assert.notEqual(fingerprint({ ...rule, identity: "3306" }), fingerprint({ ...rule, identity: "3307" }));
  });
});
