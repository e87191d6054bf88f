import { contains, formatNetwork, maskNetwork, type Network, parseNetwork } from "../../src/domain/network.ts";
import { type Chains, entryChain, type Match, type Rule } from "../../src/netfilter/iptables/rule.ts";

/** A packet as it reaches `INPUT`. */
export interface Packet {
  readonly from: string;
  /** `tcp` unless said otherwise. */
  readonly protocol?: "tcp" | "udp" | "ipv6-icmp";
  readonly port?: number;
  /** True for the SYN that opens a connection. */
  readonly opens?: boolean;
  readonly icmpv6Type?: number;
}

/** What the kernel remembers when the packet arrives. */
export interface Memory {
  /** Addresses by list, as the list's mask left them; only those whose time still runs. */
  readonly listed?: Readonly<Record<string, readonly string[]>>;
  /** Addresses and networks by set; only those whose time still runs. */
  readonly inSets?: Readonly<Record<string, readonly string[]>>;
  /** How many connections every counting rule finds its source to hold, this packet's own included. */
  readonly connections?: number;
}

/** What became of the packet. */
export interface Journey {
  /** `passed`: the rules that follow the jump in `INPUT` decide. */
  readonly verdict: "passed" | "drop" | "tcp-reset" | "port-unreachable";
  /** How many rules it was compared with, from the entry chain on. */
  readonly rulesMet: number;
  /** The chains that it entered, in order. */
  readonly chains: readonly string[];
  /** The lists that its source was written to, in order. */
  readonly stamped: readonly string[];
  /** The sets that its source was added to, in order, with the seconds that it stays there. */
  readonly added: readonly { readonly set: string; readonly seconds: number }[];
}

/** Takes one packet through the chains, as the kernel would. */
export function walkPacket(chains: Chains, packet: Packet, memory: Memory = {}, start: string = entryChain): Journey {
  const source = parseNetwork(packet.from);
  const entered: string[] = [];
  const stamped: string[] = [];
  const added: { readonly set: string; readonly seconds: number }[] = [];
  let rulesMet = 0;
  const verdict = enter(start);
  return { verdict: verdict === "return" ? "passed" : verdict, rulesMet, chains: entered, stamped, added };

  function enter(name: string): Journey["verdict"] | "return" {
    const rules = chains.get(name);
    if (!rules) throw new Error(`there is no chain ${name}`);
    entered.push(name);
    for (const rule of rules) {
      rulesMet += 1;
      if (!rule.matches.every(holds)) continue;
      const outcome = carryOut(rule);
      if (outcome !== "next") return outcome;
    }
    return "return";
  }

  function carryOut({ target }: Rule): Journey["verdict"] | "return" | "next" {
    switch (target.kind) {
      case "jump": {
        const outcome = enter(target.chain);
        return outcome === "return" ? "next" : outcome;
      }
      case "goto":
        return enter(target.chain);
      case "return":
        return "return";
      case "drop":
        return "drop";
      case "reject":
        return target.with;
      case "add-to-set":
        added.push({ set: target.set, seconds: target.seconds });
        return "next";
      case "none":
        return "next";
    }
  }

  function holds(match: Match): boolean {
    switch (match.kind) {
      case "source":
        return contains(match.network, source);
      case "protocol":
        return (packet.protocol ?? "tcp") === match.protocol;
      case "ports":
        return packet.port !== undefined && packet.port >= match.from && packet.port <= match.to;
      case "new-connection":
        return packet.opens === true;
      case "icmpv6":
        return packet.icmpv6Type === match.type;
      case "connlimit":
        return (memory.connections ?? 1) > match.above;
      case "recent": {
        if (match.command === "set") {
          stamped.push(match.list);
          return true;
        }
        const found = memory.listed?.[match.list]?.includes(listEntry(source, match.prefix)) ?? false;
        if (found && match.command === "update") stamped.push(match.list);
        return found;
      }
      case "set":
        return memory.inSets?.[match.set]?.some((entry) => contains(parseNetwork(entry), source)) ?? false;
    }
  }
}

/** The source as a list with this mask holds it: without a prefix length. */
function listEntry(source: Network, prefix: number): string {
  return formatNetwork({ ...maskNetwork(source, prefix), prefix: source.prefix });
}
