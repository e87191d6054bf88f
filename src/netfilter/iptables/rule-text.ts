import { hash } from "node:crypto";
import { type Family, formatNetwork, isSingleAddress, netmask } from "../../domain/network.ts";
import type { Match, Rule, Target } from "./rule.ts";

/** Comments of this service's own rules begin with this; the fingerprint follows. */
export const commentPrefix = "cld:";

/**
 * The rule in the words that `iptables-save` 1.8.9 prints it, without `-A CHAIN`, with its fingerprint as the comment.
 * Written the same way as it is read back, a rule in place is recognised by comparing text.
 */
export function ruleText(rule: Rule, family: Family): string {
  const known = texts[family].get(rule);
  if (known !== undefined) return known;
  const text = (isOfBothFamilies(rule) ? texts[family === 4 ? 6 : 4].get(rule) : undefined) ?? newRuleText(rule, family);
  texts[family].set(rule, text);
  return text;
}

/** The rules of a policy are the same objects from one pass to the next. */
const texts = { 4: new WeakMap<Rule, string>(), 6: new WeakMap<Rule, string>() } as const;

const wordsOfBothFamilies: ReadonlySet<string> = new Set(["protocol", "ports", "new-connection", "jump", "goto"]);

/** Whether both families say it in the same words; true at least of those that lead to the policies of a port. */
function isOfBothFamilies({ matches, target }: Rule): boolean {
  return wordsOfBothFamilies.has(target.kind) && matches.every(({ kind }) => wordsOfBothFamilies.has(kind));
}

function newRuleText(rule: Rule, family: Family): string {
  const matches = matchWords(rule.matches, family);
  const target = targetWords(rule.target, family);
  const fingerprint = hash("sha256", JSON.stringify([matches, target, rule.identity ?? ""])).slice(0, 12);
  return [...matches, `-m comment --comment "${commentPrefix}${fingerprint}"`, ...target].join(" ");
}

function matchWords(matches: readonly Match[], family: Family): string[] {
  const words: string[] = [];
  let tcpOpen = false;
  for (const match of matches) {
    const opensTcp = match.kind === "ports" || match.kind === "new-connection";
    if (opensTcp && !tcpOpen) words.push("-m tcp");
    tcpOpen = opensTcp;
    words.push(oneMatch(match, family));
  }
  return words;
}

function oneMatch(match: Match, family: Family): string {
  switch (match.kind) {
    case "source":
      return `-s ${sourceText(match.network)}`;
    case "protocol":
      return `-p ${match.protocol}`;
    case "ports":
      return `--dport ${match.from === match.to ? match.from : `${match.from}:${match.to}`}`;
    case "new-connection":
      return "--tcp-flags FIN,SYN,RST,ACK SYN";
    case "icmpv6":
      return `-m icmp6 --icmpv6-type ${match.type}`;
    case "recent": {
      const seconds = match.seconds === undefined ? "" : ` --seconds ${match.seconds}`;
      return `-m recent --${match.command}${seconds} --name ${match.list} --mask ${netmask(family, match.prefix)} --rsource`;
    }
    case "set":
      return `-m set --match-set ${match.set} src`;
    case "connlimit":
      return `-m connlimit --connlimit-above ${match.above} --connlimit-mask ${match.prefix} --connlimit-saddr`;
  }
}

function sourceText(network: Parameters<typeof formatNetwork>[0]): string {
  const text = formatNetwork(network);
  return isSingleAddress(network) ? `${text}/${network.prefix}` : text;
}

function targetWords(target: Target, family: Family): string[] {
  switch (target.kind) {
    case "jump":
      return [`-j ${target.chain}`];
    case "goto":
      return [`-g ${target.chain}`];
    case "return":
      return ["-j RETURN"];
    case "drop":
      return ["-j DROP"];
    case "reject": {
      const unreachable = family === 4 ? "icmp-port-unreachable" : "icmp6-port-unreachable";
      return [`-j REJECT --reject-with ${target.with === "tcp-reset" ? "tcp-reset" : unreachable}`];
    }
    case "add-to-set":
      return [`-j SET --add-set ${target.set} src --exist --timeout ${target.seconds}`];
    case "none":
      return [];
  }
}
