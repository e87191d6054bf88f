import { diffTable, tableAfter } from "./iptables/table-diff.ts";
import type { FilterTable } from "./iptables/tables.ts";
import type { Plan } from "./plan.ts";
import { type Actual, families } from "./planning.ts";

type Tables = Actual["tables"];

/** What the last pass left in the kernel, so that a change of one policy need not list the rules of a thousand again. */
export interface LastPass {
  /** Whether there was one. */
  ended(): boolean;
  /** The tables as it left them; null when that is not sure. */
  tables(): Tables | null;
  /** Whether what a plan changes in those tables, and the way to it, is still as it was left. @throws {EnforcementDelayed} */
  isStillThere(known: Tables, plan: Plan): Promise<boolean>;
  /** Whether its rules are those in the tables. */
  hasLeft(found: Tables): boolean;
  /**
   * What somebody else did. Rules that are as the last pass left them differ only because what is wanted has changed since: the last
   * ban under a policy's earlier terms has ended, say.
   */
  meddling(plan: Plan, found: Tables): readonly string[];
  /** A pass has found the tables so and carried the plan out. */
  note(found: Tables, plan: Plan): void;
  /** Something went wrong since: the tables have to be read. */
  doubt(): void;
}

export function createLastPass(filterTables: Readonly<Record<4 | 6, Pick<FilterTable, "isStill">>>): LastPass {
  let left: Plan | null = null;
  let tables: Tables | null = null;
  const hasLeft = (found: Tables): boolean => {
    const chains = left?.chains;
    if (chains === undefined) return false;
    return found === tables || families.every((family) => diffTable(found[family], chains[family], family).lines.length === 0);
  };
  return {
    ended: () => left !== null,
    tables: () => tables,
    isStillThere: async (known, { tables: lines }) => {
      const answers = families.map((family) => filterTables[family].isStill(known[family], lines[family]));
      return (await Promise.all(answers)).every(Boolean);
    },
    hasLeft,
    meddling: (plan, found) => {
      const strange = plan.obsoleteSets.filter((name) => !left?.sets.includes(name)).map((name) => `set ${name} not wanted`);
      return [...(hasLeft(found) ? [] : plan.rulesFound), ...plan.found, ...strange];
    },
    note: (found, plan) => {
      const after = (family: 4 | 6) => tableAfter(found[family], plan.chains[family], family);
      [left, tables] = [plan, { 4: after(4), 6: after(6) }];
    },
    doubt: () => {
      tables = null;
    },
  };
}
