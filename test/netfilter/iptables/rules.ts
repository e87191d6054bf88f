import assert from "node:assert/strict";
import { type Family, parseNetwork } from "../../../src/domain/network.ts";
import type { Policy } from "../../../src/domain/policy.ts";
import { type BanHome, banHomeName, banHomeOf } from "../../../src/netfilter/bans/ban-home.ts";
import { activityName, offenderListName, offenderListOf, offenderSetName } from "../../../src/netfilter/bans/names.ts";
import { compileRuleset } from "../../../src/netfilter/iptables/ruleset.ts";
import { type Memory, type Packet, walkPacket } from "../../support/packet-walk.ts";

export const client = { 4: "203.0.113.9", 6: "2001:db8:1:2::9" } as const;
/** What a list or set holds of the client where sources are told apart by the default prefix. */
export const entry = { 4: "203.0.113.9", 6: "2001:db8:1:2::" } as const;
const protectedNetworks = ["127.0.0.0/8", "198.51.100.0/24", "::1", "2001:db8:99::/48"].map(parseNetwork);

/** Every kind of kernel for which rules are made. */
export const kernels = [
  { family: 4, withSets: true },
  { family: 6, withSets: true },
  { family: 4, withSets: false },
  { family: 6, withSets: false },
] as const;

/** Rules of one kind of kernel, and what becomes of the client's packets in them. */
export function createRules({ family, withSets }: { readonly family: Family; readonly withSets: boolean }) {
  const compile = (policies: readonly Policy[], retired: readonly BanHome[] = []) =>
    compileRuleset({ family, policies, protectedNetworks, withSets, retired });
  const homeOf = (policy: Policy): BanHome => banHomeOf(policy, family, withSets) ?? assert.fail("the policy bans nobody");
  const networkOf = (address: string) => (family === 6 && address.endsWith("::") ? `${address}/64` : address);
  /** The memory in which these are in a list or set, whichever it is. */
  const holding = (name: string, ...addresses: readonly string[]): Memory => ({
    listed: { [name]: addresses },
    inSets: { [name]: addresses.map(networkOf) },
  });
  return {
    from: client[family],
    opening: { from: client[family], port: 3306, opens: true } satisfies Packet,
    established: { from: client[family], port: 3306 } satisfies Packet,
    where: `over IPv${family} with${withSets ? "" : "out"} ipset`,
    compile,
    homeOf,
    holding,
    verdictOf: (policies: readonly Policy[], packet: Packet, memory?: Memory) =>
      walkPacket(compile(policies), packet, memory).verdict,
    /** The memory in which the policy has banned the client. */
    banned: (policy: Policy, address: string = entry[family]): Memory => holding(banHomeName(homeOf(policy)), address),
    /** The lists and sets that the source of the packet is written to, apart from those that only tell that something happened. */
    written: (policies: readonly Policy[], packet: Packet, memory: Memory): readonly string[] => {
      const { stamped, added } = walkPacket(compile(policies), packet, memory);
      return [...stamped.filter((list) => list !== activityName(family)), ...added.map(({ set }) => set)];
    },
    /** Where the policy's offenders are written down. */
    offenders: (policy: Policy): readonly string[] => {
      const list = offenderListOf(policy, family);
      return [offenderListName(list), ...(withSets ? [offenderSetName(list)] : [])];
    },
  };
}
