import { type Policy, policyDefaults } from "../../src/domain/policy.ts";
import { banHomeName, banHomeOf } from "../../src/netfilter/bans/ban-home.ts";
import { graceSetName } from "../../src/netfilter/bans/names.ts";
import type { Memory, Packet } from "../support/packet-walk.ts";

/** One packet whose way through the chains is shown. */
export interface Scene {
  readonly when: string;
  readonly packet: Packet;
  readonly memory?: Memory;
}

/** A typical policy, with what becomes of packets. */
export interface Chapter {
  readonly title: string;
  readonly does: string;
  readonly policy: Policy;
  readonly scenes: readonly Scene[];
}

const from = "203.0.113.9";

function policyOf(changes: Partial<Policy> & Pick<Policy, "name" | "ports" | "maxConnections">): Policy {
  return { ...policyDefaults, revision: 1, createdAt: 0, updatedAt: 0, ...changes };
}

/** The memory in which the policy has banned the source. */
export function banned(policy: Policy, withSets = true, entry: string = from): Memory {
  const home = banHomeOf(policy, 4, withSets);
  if (!home) return {};
  return withSets ? { inSets: { [banHomeName(home)]: [entry] } } : { listed: { [banHomeName(home)]: [entry] } };
}

export const mysql = policyOf({
  name: "mysql",
  ports: [3306],
  maxConnections: 2,
  ban: { seconds: 60, scope: "host", renewOnAttempt: false },
});
const web = policyOf({ name: "web", ports: [80, 443], maxConnections: 50, exempt: ["10.0.0.0/8"] });
const smtp = policyOf({
  name: "smtp",
  ports: [25, 465, 587],
  maxConnections: 10,
  ban: { seconds: 3600, scope: "ports", renewOnAttempt: false },
  rejectWith: "icmp-port-unreachable",
});
export const ssh = policyOf({
  name: "ssh",
  ports: [22],
  maxConnections: 3,
  ban: { seconds: 600, scope: "host", renewOnAttempt: true },
  rejectWith: "drop",
});
const networks = policyOf({
  name: "redis",
  ports: [6379],
  maxConnections: 20,
  countPer: { ipv4Prefix: 24, ipv6Prefix: 64 },
  ban: { seconds: 60, scope: "host", renewOnAttempt: false },
  exempt: ["203.0.113.7"],
});
const observe = policyOf({ ...mysql, mode: "observe" });

/** What docs/netfilter-rules.md shows, in order. */
export const chapters: readonly Chapter[] = [
  {
    title: "The classic pair",
    does: "No source holds more than 2 connections to MySQL; who tries gets no TCP from this host for 60 seconds, on any port.",
    policy: mysql,
    scenes: [
      { when: "a source opens its second connection", packet: { from, port: 3306, opens: true }, memory: { connections: 2 } },
      { when: "it opens its third", packet: { from, port: 3306, opens: true }, memory: { connections: 3 } },
      { when: "within the 60 seconds it sends on an open connection", packet: { from, port: 3306 }, memory: banned(mysql) },
      { when: "within the 60 seconds it tries SSH", packet: { from, port: 22, opens: true }, memory: banned(mysql) },
      {
        when: "anybody else opens an SSH connection",
        packet: { from: "192.0.2.7", port: 22, opens: true },
        memory: banned(mysql),
      },
      {
        when: "a source that was unbanned with grace opens its third",
        packet: { from, port: 3306, opens: true },
        memory: { connections: 3, inSets: { [graceSetName(4)]: [from] } },
      },
    ],
  },
  {
    title: "A limit without a ban",
    does: "No source holds more than 50 connections to ports 80 and 443 together; the excess is refused and nobody is banned. Sources in 10.0.0.0/8 are not counted.",
    policy: web,
    scenes: [
      { when: "a source opens its 51st connection", packet: { from, port: 443, opens: true }, memory: { connections: 51 } },
      { when: "it sends on an open one", packet: { from, port: 443 } },
      {
        when: "an exempt source opens its 51st",
        packet: { from: "10.1.2.3", port: 443, opens: true },
        memory: { connections: 51 },
      },
    ],
  },
  {
    title: "A ban from the policy's ports",
    does: "No source holds more than 10 connections to the mail ports; who tries is refused on those ports for an hour, and keeps the others.",
    policy: smtp,
    scenes: [
      { when: "a source opens its 11th connection", packet: { from, port: 25, opens: true }, memory: { connections: 11 } },
      { when: "within the hour it tries another of the ports", packet: { from, port: 587, opens: true }, memory: banned(smtp) },
      { when: "within the hour it opens a web page", packet: { from, port: 443, opens: true }, memory: banned(smtp) },
    ],
  },
  {
    title: "A ban that each attempt renews",
    does: "No source holds more than 3 SSH connections; who tries is ignored on every port until it has not tried to connect for ten minutes.",
    policy: ssh,
    scenes: [
      { when: "a source opens its 4th connection", packet: { from, port: 22, opens: true }, memory: { connections: 4 } },
      { when: "while banned it tries to connect", packet: { from, port: 80, opens: true }, memory: banned(ssh) },
      { when: "while banned it sends on an open connection", packet: { from, port: 22 }, memory: banned(ssh) },
    ],
  },
  {
    title: "Sources counted by network, with an exemption inside one",
    does: "No IPv4 /24 holds more than 20 connections to Redis; who tries is banned with its network for 60 seconds, except for 203.0.113.7.",
    policy: networks,
    scenes: [
      {
        when: "a /24 opens its 21st connection",
        packet: { from, port: 6379, opens: true },
        memory: { connections: 21 },
      },
      {
        when: "while it is banned, a neighbour connects",
        packet: { from: "203.0.113.200", port: 80 },
        memory: banned(networks, true, "203.0.113.0/24"),
      },
      {
        when: "while it is banned, the exempt one connects",
        packet: { from: "203.0.113.7", port: 80 },
        memory: banned(networks, true, "203.0.113.0/24"),
      },
    ],
  },
  {
    title: "Only observing",
    does: "The classic policy with `mode: observe`: who is over the limit is listed as an offender, and nobody is refused.",
    policy: observe,
    scenes: [
      { when: "a source opens its third connection", packet: { from, port: 3306, opens: true }, memory: { connections: 3 } },
    ],
  },
];
