import type { Family, Network } from "../../domain/network.ts";
import type { Policy } from "../../domain/policy.ts";
import { type BanHome, banHomeName, banHomeOf, countPrefix, exemptionsOf, longestSetTimeout } from "../bans/ban-home.ts";
import {
  activityName,
  canaryName,
  graceListName,
  graceSetName,
  offenderListName,
  offenderListOf,
  offenderSetName,
  operatorName,
} from "../bans/names.ts";
import { compileBanRules, refusalTarget } from "./ban-rules.ts";
import { dispatchByPort, pushRule } from "./port-dispatch.ts";
import {
  type Chains,
  canaryChain,
  entryChain,
  fromSource,
  type Match,
  newConnection,
  type Rule,
  type Target,
  tcp,
} from "./rule.ts";

const operatorChain = "CLD-REFUSE";
const newConnectionChain = "CLD-NEW";
const neighbourSolicitation = 135;
const neighbourAdvertisement = 136;
/** How long, in seconds, a source stays in a policy's set of offenders when no ban says how long it matters. */
const offenderMemory = 86_400;

/** What one family's rules are to enforce. */
export interface RulesetInput {
  readonly family: Family;
  readonly policies: readonly Policy[];
  readonly protectedNetworks: readonly Network[];
  /** Whether ipset is there to hold what an xt_recent list has no room for. */
  readonly withSets: boolean;
  /** Lists and sets that no policy writes to any more, but whose bans still run. */
  readonly retired: readonly BanHome[];
  /** Policies whose own chains are left out, as they are known without being composed. */
  readonly standing?: ReadonlySet<string>;
}

/** The chains that make the kernel do what the policies and bans say. Pure: the same input gives the same rules. */
export function compileRuleset(input: RulesetInput): Chains {
  const { family, withSets } = input;
  const policies = input.policies.filter((policy) => policy.mode !== "off");
  const bans = compileBanRules({ family, policies, withSets, retired: input.retired });
  const counting = countingChainsOf(input);
  const operatorSet: Match = { kind: "set", set: operatorName(family) };
  const refuse: Target = { kind: "jump", chain: operatorChain };
  const entry: Rule[] = [
    ...input.protectedNetworks
      .filter((network) => network.family === family)
      .map((network) => fromSource(network, { kind: "return" })),
    { matches: [checked(operatorName(family), family)], target: refuse },
    ...(withSets ? [{ matches: [operatorSet], target: refuse }] : []),
    ...bans.checks,
  ];
  if (counting.size > 0) entry.push({ matches: [tcp, newConnection], target: { kind: "goto", chain: newConnectionChain } });
  return new Map<string, readonly Rule[]>([
    [entryChain, entry],
    [operatorChain, operatorRefusal(family)],
    [
      canaryChain,
      [canaryName(family), activityName(family)].map((list) => ({ matches: [checked(list, family)], target: { kind: "none" } })),
    ],
    ...bans.chains,
    ...counting,
  ]);
}

/** Those of the policies that were compiled last, which mostly are the same again. */
const counted = new WeakMap<readonly Policy[], Map<string, Chains>>();

/** What new connections meet: the way to the policies of their port, and each policy's own chains. */
function countingChainsOf({ policies, family, withSets, standing }: RulesetInput): Chains {
  const variants = counted.get(policies) ?? new Map<string, Chains>();
  counted.set(policies, variants);
  const remembered = (variant: string, compile: () => Chains): Chains => {
    const chains = variants.get(variant) ?? compile();
    variants.set(variant, chains);
    return chains;
  };
  const active = policies.filter((policy) => policy.mode !== "off");
  // These say nothing of a family.
  const ways = remembered("ways", () => waysTo(active));
  const own = (among: readonly Policy[]): Chains =>
    new Map([...ways, ...among.flatMap((policy) => chainsOfPolicy(policy, family, withSets))]);
  if (standing !== undefined && standing.size > 0) return own(active.filter(({ name }) => !standing.has(name)));
  return remembered(`${family} ${withSets}`, () => own(active));
}

function waysTo(policies: readonly Policy[]): Chains {
  const policiesOf = new Map<number, Rule[]>();
  for (const { name, ports } of policies)
    for (const port of ports) pushRule(policiesOf, port, { matches: [], target: { kind: "jump", chain: `CLD-P-${name}` } });
  return policiesOf.size === 0 ? new Map() : dispatchByPort(newConnectionChain, policiesOf);
}

/** Chains by their names. */
type OwnChains = readonly (readonly [string, readonly Rule[]])[];

/** Of each policy, those that were made last, by family; of a thousand policies all but one are the same as in the pass before. */
const made = new WeakMap<Policy, Map<string, OwnChains>>();

/** Whether the policy's own chains are made already, so that they cost nothing any more. */
export function hasChains(policy: Policy, family: Family, withSets: boolean): boolean {
  return made.get(policy)?.has(`${family} ${withSets}`) === true;
}

/** The policy's own chains: the one that counts, and the one of those over the limit. */
export function chainsOfPolicy(policy: Policy, family: Family, withSets: boolean): OwnChains {
  const variants = made.get(policy) ?? new Map<string, OwnChains>();
  made.set(policy, variants);
  const variant = `${family} ${withSets}`;
  const known = variants.get(variant);
  if (known !== undefined) return known;
  const [policyChain, overChain] = [`CLD-P-${policy.name}`, `CLD-O-${policy.name}`];
  const chains: OwnChains = [
    [policyChain, policyRules(policy, family, overChain)],
    [overChain, overLimitRules(policy, family, withSets)],
  ];
  variants.set(variant, chains);
  return chains;
}

/** Counting comes first and its consequences stand in a chain of their own: editing those leaves the rule that counts, and so its counts, alone. */
function policyRules(policy: Policy, family: Family, overChain: string): Rule[] {
  return [
    ...exemptionsOf(policy, family).map((network) => fromSource(network, { kind: "return" })),
    {
      matches: [tcp, { kind: "connlimit", above: policy.maxConnections, prefix: countPrefix(policy, family) }],
      target: { kind: "jump", chain: overChain },
      identity: policy.ports.toSorted((a, b) => a - b).join(),
    },
  ];
}

/** What happens to a source over the limit: it is written down, banned unless it has grace, and refused. */
function overLimitRules(policy: Policy, family: Family, withSets: boolean): Rule[] {
  const offenders = offenderListOf(policy, family);
  const { prefix } = offenders;
  const noted: Match[] = [stamped(activityName(family), family), stamped(offenderListName(offenders), family, prefix)];
  const note: Rule = {
    matches: [tcp, ...noted],
    target: withSets ? { kind: "add-to-set", set: offenderSetName(offenders), seconds: memoryOf(policy) } : { kind: "none" },
  };
  if (policy.mode === "observe") return [note];
  const refuse = refusalTarget(policy.rejectWith);
  const home = banHomeOf(policy, family, withSets);
  if (policy.ban === null || home === undefined) return [note, { matches: [tcp], target: refuse }];
  const grace: Match = withSets
    ? { kind: "set", set: graceSetName(family) }
    : checked(graceListName(family, prefix), family, prefix);
  const spare: Rule = { matches: [tcp, grace, ...noted], target: refuse };
  const list = banHomeName(home);
  if (home.storage === "recent") return [spare, note, { matches: [tcp, stamped(list, family, prefix)], target: refuse }];
  return [
    spare,
    note,
    { matches: [tcp], target: { kind: "add-to-set", set: list, seconds: policy.ban.seconds } },
    { matches: [tcp], target: refuse },
  ];
}

/** How long, in seconds, the policy's set of offenders remembers a source: as long as its ban, which is how the two are told to belong together. */
export function memoryOf({ mode, ban }: Policy): number {
  return mode === "enforce" && ban !== null ? Math.min(ban.seconds, longestSetTimeout) : offenderMemory;
}

/** An operator's ban refuses every protocol; neighbour discovery goes on, or the refusal itself could not be delivered. */
function operatorRefusal(family: Family): Rule[] {
  const discovery = [neighbourSolicitation, neighbourAdvertisement].map(
    (type): Rule => ({
      matches: [
        { kind: "protocol", protocol: "ipv6-icmp" },
        { kind: "icmpv6", type },
      ],
      target: { kind: "return" },
    }),
  );
  return [
    ...(family === 6 ? discovery : []),
    { matches: [tcp], target: { kind: "reject", with: "tcp-reset" } },
    { matches: [], target: { kind: "reject", with: "port-unreachable" } },
  ];
}

function checked(list: string, family: Family, prefix = singlePrefix(family)): Match {
  return { kind: "recent", command: "rcheck", list, prefix };
}

function stamped(list: string, family: Family, prefix = singlePrefix(family)): Match {
  return { kind: "recent", command: "set", list, prefix };
}

function singlePrefix(family: Family): number {
  return family === 4 ? 32 : 128;
}
