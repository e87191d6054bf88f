import { createHash } from "node:crypto";
import type { Family, Network } from "../../domain/network.ts";
import type { Policy, RejectWith } from "../../domain/policy.ts";
import { type BanHome, banHomeName, banHomeOf, narrowExemptions } from "../bans/ban-home.ts";
import { activityName } from "../bans/names.ts";
import { dispatchByPort, pushRule } from "./port-dispatch.ts";
import { fromSource, type Match, newConnection, type Rule, type Target, tcp } from "./rule.ts";

const bannedPortsChain = "CLD-PORTS";

export interface BanRulesInput {
  readonly family: Family;
  /** Those that are not `off`. */
  readonly policies: readonly Policy[];
  readonly withSets: boolean;
  /** Lists and sets that no policy writes to any more, but whose bans still run. */
  readonly retired: readonly BanHome[];
}

/** The checks for sources that the kernel banned by itself, and the chains behind them. */
export function compileBanRules(input: BanRulesInput): {
  readonly checks: readonly Rule[];
  readonly chains: Map<string, readonly Rule[]>;
} {
  const checks: Rule[] = [];
  const chains = new Map<string, readonly Rule[]>();
  const bannedPorts = new Map<number, Rule[]>();
  for (const home of banHomes(input)) {
    const { check, chain } = banRefusal(home, exemptionsIn(home, input));
    if (chain) chains.set(chain.name, chain.rules);
    if (home.scope === "host") checks.push({ ...check, matches: [tcp, ...check.matches] });
    else for (const port of portsOf(home, input.policies)) pushRule(bannedPorts, port, check);
  }
  if (bannedPorts.size > 0) {
    checks.push({ matches: [tcp], target: { kind: "jump", chain: bannedPortsChain } });
    for (const [name, rules] of dispatchByPort(bannedPortsChain, bannedPorts)) chains.set(name, rules);
  }
  return { checks, chains };
}

/** Every list and set that can hold a running ban, each once, in the order of their names. */
export function banHomes({ family, policies, withSets, retired }: BanRulesInput): readonly BanHome[] {
  const active = policies.flatMap((policy) => banHomeOf(policy, family, withSets) ?? []);
  const homes = new Map(
    [...retired.filter((home) => home.family === family), ...active].map((home) => [banHomeName(home), home]),
  );
  return [...homes.keys()].sort().flatMap((name) => homes.get(name) ?? []);
}

export function refusalTarget(rejectWith: RejectWith): Target {
  if (rejectWith === "drop") return { kind: "drop" };
  return { kind: "reject", with: rejectWith === "tcp-reset" ? "tcp-reset" : "port-unreachable" };
}

/** The rule that finds a banned source, and the chain behind it where one rule can't say it all. */
function banRefusal(
  home: BanHome,
  exempt: readonly Network[],
): { check: Rule; chain?: { name: string; rules: readonly Rule[] } } {
  const refuse = refusalTarget(home.rejectWith);
  if (!home.renewOnAttempt && exempt.length === 0) return { check: { matches: [listed(home, "rcheck")], target: refuse } };
  const name = `CLD-B-${createHash("sha256").update(banHomeName(home)).digest("hex").slice(0, 12)}`;
  const check: Rule = { matches: [listed(home, "rcheck")], target: { kind: "jump", chain: name } };
  const rules = [
    ...exempt.map((network) => fromSource(network, { kind: "return" })),
    ...(home.renewOnAttempt ? [renewal(home, refuse)] : []),
    { matches: [tcp], target: refuse },
  ];
  return { check, chain: { name, rules } };
}

function listed(home: BanHome, command: "rcheck" | "update"): Match {
  const name = banHomeName(home);
  if (home.storage === "ipset") return { kind: "set", set: name };
  return {
    kind: "recent",
    command,
    list: name,
    prefix: home.prefix,
    ...(home.seconds === null ? {} : { seconds: home.seconds }),
  };
}

/** Each attempt starts the time of the ban anew. */
function renewal(home: BanHome, refuse: Target): Rule {
  if (home.storage === "recent") return { matches: [tcp, newConnection, listed(home, "update")], target: refuse };
  const noticed: Match = {
    kind: "recent",
    command: "set",
    list: activityName(home.family),
    prefix: home.family === 4 ? 32 : 128,
  };
  return {
    matches: [tcp, newConnection, noticed],
    target: { kind: "add-to-set", set: banHomeName(home), seconds: home.seconds ?? 0 },
  };
}

/** The exemptions that the check has to respect: those of all policies whose exempt addresses can lie inside a banned network. */
function exemptionsIn(home: BanHome, { family, policies }: BanRulesInput): readonly Network[] {
  if (home.exemptions === "all") return [];
  const writers = policies.filter((policy) => home.policy === null || policy.name === home.policy);
  const same = writers.filter((policy) => banHomeOf(policy, family, home.storage === "ipset")?.exemptions === home.exemptions);
  const [first] = same;
  return first ? narrowExemptions(first, family) : writers.flatMap((policy) => narrowExemptions(policy, family));
}

/** The ports that a home of scope `ports` refuses: those of its policy now. */
function portsOf(home: BanHome, policies: readonly Policy[]): readonly number[] {
  return policies.find((policy) => policy.name === home.policy)?.ports ?? [];
}
