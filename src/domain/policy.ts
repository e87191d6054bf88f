import { contains, type Network, parseNetwork } from "./network.ts";

/** What a source over the limit gets. `seconds` is the length of the ban; `host` refuses all TCP from the source, `ports` only the policy's ports. */
export interface PolicyBan {
  readonly seconds: number;
  readonly scope: "host" | "ports";
  /** Each attempt while banned starts the time anew. */
  readonly renewOnAttempt: boolean;
}

/** The prefix lengths, in bits, by which sources are told apart. */
export interface CountPer {
  readonly ipv4Prefix: number;
  readonly ipv6Prefix: number;
}

export type RejectWith = "tcp-reset" | "icmp-port-unreachable" | "drop";
export type PolicyMode = "enforce" | "observe" | "off";

/** All that a caller decides about a policy, with every default filled in. */
export interface PolicySpec {
  /** Up to 200 characters; never reaches a rule. */
  readonly description: string;
  readonly protocol: "tcp";
  /** 1 to 15 different ports; one count over all of them. */
  readonly ports: readonly number[];
  /** Concurrent connections that one source may hold, 1 to 1,000,000. */
  readonly maxConnections: number;
  readonly countPer: CountPer;
  /** `null`: only the excess connections are refused. */
  readonly ban: PolicyBan | null;
  readonly rejectWith: RejectWith;
  /** Canonical networks (CIDR or bare address) that this policy never counts. */
  readonly exempt: readonly string[];
  readonly mode: PolicyMode;
}

/** A stored connection-limit policy. Times are milliseconds since the epoch. */
export interface Policy extends PolicySpec {
  readonly name: string;
  /** 1 at creation, one more with each change. */
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** The order in which policies are listed; no two have the same name. */
export function comparePolicies(a: Policy, b: Policy): number {
  return a.name < b.name ? -1 : 1;
}

const indexes = new WeakMap<readonly Policy[], ReadonlyMap<string, Policy>>();

/** The policy of that name, the first where there are several; lists that are asked again and again are indexed, and so must stay as they are. */
export function policyNamed(policies: readonly Policy[], name: string): Policy | undefined {
  const known = indexes.get(policies);
  if (known !== undefined) return known.get(name);
  const index = new Map(policies.toReversed().map((policy) => [policy.name, policy]));
  indexes.set(policies, index);
  return index.get(name);
}

export const policyDefaults = {
  description: "",
  protocol: "tcp",
  countPer: { ipv4Prefix: 32, ipv6Prefix: 64 },
  ban: null,
  rejectWith: "tcp-reset",
  exempt: [],
  mode: "enforce",
} as const satisfies Omit<PolicySpec, "ports" | "maxConnections">;

export const banDefaults = { scope: "host", renewOnAttempt: false } as const;

/** Whether the kernel does what the store says about one policy. `since` is in milliseconds since the epoch. */
export type Enforcement =
  | { readonly state: "enforced"; readonly since: number }
  | { readonly state: "pending"; readonly message: string }
  | { readonly state: "off" };

/** A source seen over a policy's limit. Times are milliseconds since the epoch. */
export interface Offender {
  /** Canonical address, or network where the policy counts by a shorter prefix. */
  readonly source: string;
  /** The earliest time that the kernel still knows of. */
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
  readonly bannedUntil: number | null;
}

/** What a policy does to a source over its limit; `would-be-...` where it only observes. */
export type OffenderOutcome = "refused" | "banned" | "would-be-refused" | "would-be-banned";

/** An offender, and what came of it or would have. */
export interface JudgedOffender extends Offender {
  readonly outcome: OffenderOutcome;
}

/** True when the policy never counts any part of `network`. */
export function isExempt(policy: Policy, network: Network): boolean {
  return policy.exempt.some((text) => contains(parseNetwork(text), network));
}
