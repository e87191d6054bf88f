import { type Match, type Rule, tcp } from "./rule.ts";

const portBits = 16;
/** Each level of the tree tells apart this many bits of the port. */
const levelBits = 2;
/** A chain with no more ports than this asks for each of them in turn. */
const leafPorts = 4;

/**
 * Chains that lead a TCP packet to the rules of its destination port in a bounded number of comparisons, however many ports there
 * are. The tree is a radix tree over the bits of the port: adding or removing one port changes only the chains on its path.
 * @param root the chain to begin with; the others are named after it and the port range that they cover.
 * @param rulesOf the rules of each port, tried in order.
 */
export function dispatchByPort(root: string, rulesOf: ReadonlyMap<number, readonly Rule[]>): Map<string, readonly Rule[]> {
  const chains = new Map<string, readonly Rule[]>();
  const ports = [...rulesOf.keys()].sort((a, b) => a - b);
  fillChain(root, ports, 0, portBits);
  return chains;

  /** Several rules of one port stand in a chain of their own, so that packets to other ports do not meet each of them. */
  function portRules(port: number, rules: readonly Rule[]): Rule[] {
    const toPort: Match[] = [tcp, { kind: "ports", from: port, to: port }];
    const [only, ...more] = rules;
    if (only && more.length === 0) return [{ ...only, matches: [...toPort, ...only.matches] }];
    const chain = `${root}-${port}`;
    chains.set(
      chain,
      rules.map((rule) => ({ ...rule, matches: [tcp, ...rule.matches] })),
    );
    return [{ matches: toPort, target: { kind: "goto", chain } }];
  }

  function fillChain(name: string, among: readonly number[], base: number, bits: number): void {
    if (among.length <= leafPorts || bits === 0) {
      chains.set(
        name,
        among.flatMap((port) => portRules(port, rulesOf.get(port) ?? [])),
      );
      return;
    }
    const span = bits - levelBits;
    const branches = groupBy(among, (port) => (port - base) >>> span);
    const [only] = branches.size === 1 ? branches.keys() : [];
    if (only !== undefined) {
      fillChain(name, among, base + (only << span), span);
      return;
    }
    const rules: Rule[] = [];
    for (const [branch, members] of branches) {
      const from = base + (branch << span);
      const to = from + (1 << span) - 1;
      const chain = `${root}-${from}-${to}`;
      rules.push({ matches: [tcp, { kind: "ports", from, to }], target: { kind: "goto", chain } });
      fillChain(chain, members, from, span);
    }
    chains.set(name, rules);
  }
}

function groupBy(ports: readonly number[], keyOf: (port: number) => number): Map<number, number[]> {
  const groups = new Map<number, number[]>();
  for (const port of ports) {
    const members = groups.get(keyOf(port));
    if (members) members.push(port);
    else groups.set(keyOf(port), [port]);
  }
  return groups;
}

/** Adds a rule to those of a port. */
export function pushRule(rulesOf: Map<number, Rule[]>, port: number, rule: Rule): void {
  const rules = rulesOf.get(port);
  if (rules) rules.push(rule);
  else rulesOf.set(port, [rule]);
}
