import type { Network } from "../../domain/network.ts";

/** One condition of a rule. Lists and prefixes are in the terms of xt_recent and xt_connlimit. */
export type Match =
  | { readonly kind: "source"; readonly network: Network }
  | { readonly kind: "protocol"; readonly protocol: "tcp" | "ipv6-icmp" }
  | { readonly kind: "ports"; readonly from: number; readonly to: number }
  | { readonly kind: "new-connection" }
  | { readonly kind: "icmpv6"; readonly type: number }
  | {
      readonly kind: "recent";
      readonly command: "rcheck" | "update" | "set";
      readonly list: string;
      readonly prefix: number;
      /** Only entries stamped within this many seconds match; without it every entry does. */
      readonly seconds?: number;
    }
  | { readonly kind: "set"; readonly set: string }
  | { readonly kind: "connlimit"; readonly above: number; readonly prefix: number };

/** What a rule does with a packet that meets all its conditions; `none` counts it and goes on. */
export type Target =
  | { readonly kind: "jump" | "goto"; readonly chain: string }
  | { readonly kind: "return" }
  | { readonly kind: "drop" }
  | { readonly kind: "reject"; readonly with: "tcp-reset" | "port-unreachable" }
  /** Puts the source into a set, or starts its time there anew, and goes on. */
  | { readonly kind: "add-to-set"; readonly set: string; readonly seconds: number }
  | { readonly kind: "none" };

/** A rule as data: typed values only, so that no text of a caller can reach iptables. */
export interface Rule {
  readonly matches: readonly Match[];
  readonly target: Target;
  /** Enters the fingerprint only: another `identity` makes it another rule, so that it is written anew. */
  readonly identity?: string;
}

/** Rules in the order in which packets meet them, by the name of their chain. */
export type Chains = ReadonlyMap<string, readonly Rule[]>;

/** Names of this service's own chains begin with this. */
export const chainPrefix = "CLD-";
/** Where packets enter: the chain that the jump in `INPUT` leads to. */
export const entryChain = "CLD-INPUT";
/** Nothing leads to it: its rules keep lists alive. */
export const canaryChain = "CLD-CANARY";

export const tcp: Match = { kind: "protocol", protocol: "tcp" };
export const newConnection: Match = { kind: "new-connection" };

export function fromSource(network: Network, target: Target): Rule {
  return { matches: network.prefix === 0 ? [] : [{ kind: "source", network }], target };
}
