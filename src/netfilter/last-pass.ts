import type { Policy } from "../domain/policy.ts";
import { type Chains, chainPrefix } from "./iptables/rule.ts";
import type { SavedTable } from "./iptables/saved-table.ts";
import { diffTable, holdsAsWritten, tableAfter } from "./iptables/table-diff.ts";
import { chainsIn, type FilterTable } from "./iptables/tables.ts";
import { allChains, type Plan } from "./plan.ts";
import { type Actual, families } from "./planning.ts";

type Tables = Actual["tables"];

/** What the last pass left in the kernel, so that a change of one policy need not list the rules of a thousand again. */
export interface LastPass {
  /** Whether there was one. */
  ended(): boolean;
  /** The tables as it left them; null when that is not sure or not known as a whole, and where iptables prints rules in other words than they were written. */
  tables(): Tables | null;
  /**
   * Whether all that a plan for these policies concerns is still as it was left: the chains that it changes, those of policies that are
   * others now, the way from `INPUT` to them, and what refuses those who are banned. @throws {EnforcementDelayed}
   */
  isStillThere(known: Tables, plan: Plan, policies: readonly Policy[]): Promise<boolean>;
  /** Whether its rules are those in the tables. */
  hasLeft(found: Tables): boolean;
  /**
   * What somebody else did. Rules that are as the last pass left them differ only because what is wanted has changed since: the last
   * ban under a policy's earlier terms has ended, say.
   */
  meddling(plan: Plan, found: Tables): readonly string[];
  /** A pass has found the tables so and carried the plan for these policies out. */
  note(found: Tables, plan: Plan, policies: readonly Policy[]): void;
  /** Something went wrong since: the tables have to be read. */
  doubt(): void;
}

export function createLastPass(filterTables: Readonly<Record<4 | 6, Pick<FilterTable, "isStill">>>): LastPass {
  let left: Plan | null = null;
  let tables: Tables | null = null;
  let held: readonly Policy[] = [];
  let wordForWord = false;
  const hasLeft = (found: Tables): boolean => {
    if (left === null) return false;
    const chains = allChains(left);
    return families.every(
      (family) => found[family] === tables?.[family] || diffTable(found[family], chains[family], family).lines.length === 0,
    );
  };
  return {
    ended: () => left !== null,
    tables: () => tables,
    isStillThere: async (known, { tables: lines, chains }, policies) => {
      const before = new Set(held);
      const names = policies.filter((policy) => !before.has(policy)).map(({ name }) => name);
      const answers = families.map((family) => {
        const ofLines = chainsIn(lines[family]);
        return filterTables[family].isStill(known[family], [
          ...concerned(chains[family], new Set(names.flatMap((name) => [`CLD-P-${name}`, `CLD-O-${name}`]))),
          ...ofLines.changed,
          ...ofLines.removed,
        ]);
      });
      return (await Promise.all(answers)).every(Boolean);
    },
    hasLeft,
    meddling: (plan, found) => {
      const strange = plan.obsoleteSets.filter((name) => !left?.sets.includes(name)).map((name) => `set ${name} not wanted`);
      return [...(hasLeft(found) ? [] : plan.rulesFound), ...plan.found, ...strange];
    },
    note: (found, plan, policies) => {
      wordForWord ||= families.every((family) => holdsAsWritten(found[family], plan.chains[family], family));
      const after = (family: 4 | 6): SavedTable => {
        if (plan.tables[family].length === 0) return found[family];
        return { ...tableAfter(found[family], plan.chains[family], family), listing: undefined };
      };
      tables = wordForWord && plan.isWhole ? { 4: after(4), 6: after(6) } : null;
      [left, held] = [plan, policies];
    },
    doubt: () => {
      tables = null;
    },
  };
}

/** The chains of some policies, those that lead to them, and those that are nobody's in particular. */
function concerned(chains: Chains, own: ReadonlySet<string>): ReadonlySet<string> {
  const found = new Set([...own, ...[...chains.keys()].filter((chain) => !ofPolicies.test(chain))]);
  for (let before = -1; before < found.size; ) {
    before = found.size;
    for (const [chain, rules] of chains)
      if (!found.has(chain) && rules.some(({ target }) => "chain" in target && found.has(target.chain))) found.add(chain);
  }
  return found;
}

/** Chains that count for one policy, or lead to some. */
const ofPolicies = new RegExp(`^${chainPrefix}(P-|O-|NEW)`);
