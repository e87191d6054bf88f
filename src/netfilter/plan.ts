import type { KernelBan } from "../domain/ban.ts";
import type { Family } from "../domain/network.ts";
import type { BanHome } from "./bans/ban-home.ts";
import type { ListWrite } from "./bans/timed-entries.ts";
import type { NewEntries } from "./bans/written-ends.ts";
import type { Chains } from "./iptables/rule.ts";
import { compileRuleset, type RulesetInput } from "./iptables/ruleset.ts";

/** A ban that the kernel lost, and where it is put back. */
export interface Return {
  readonly ban: KernelBan;
  readonly home: BanHome;
}

/** All that one pass writes to the kernel, in the order in which it has to happen. */
export interface Plan {
  /** Sets and their entries, before rules name them. */
  readonly ipset: readonly string[];
  /** Per family one atomic text for `iptables-restore --noflush`, in lines, or all that are about one chain; none where nothing differs. */
  readonly tables: Readonly<Record<Family, readonly string[]>>;
  /** Entries of lists, after the rules that make the lists exist. */
  readonly recent: readonly ListWrite[];
  /** Names of sets to destroy, after the last rule that named them is gone. */
  readonly obsoleteSets: readonly string[];
  /** Names of sets that are of another type or size than they have to be; nothing that is in use can be changed about that. */
  readonly misshapenSets: readonly string[];
  /** Bans that are put back, in `ipset` or `recent`. */
  readonly returns: readonly Return[];
  /** The rules that stand afterwards, but for those of policies that are `standing` in the tables it was made for, or made in the words that are kept. */
  readonly chains: Readonly<Record<Family, Chains>>;
  /** Whether those are all. */
  readonly isWhole: boolean;
  /** From what all of them are made. */
  readonly ruleset: Omit<RulesetInput, "family" | "standing">;
  /** What differed in lists and sets, in words. */
  readonly found: readonly string[];
  /** What differed in the rules, in words: somebody's doing, or what time has made of the desired rules. */
  readonly rulesFound: readonly string[];
  /** Operators' bans and graces, as far as `ipset` adds them. */
  readonly entries: readonly NewEntries[];
  /** Names of the sets that stand afterwards. */
  readonly sets: readonly string[];
}

/** All rules that stand when the plan is carried out; where it was made without some, they are made now. */
export function allChains(plan: Plan): Plan["chains"] {
  const { chains, isWhole, ruleset } = plan;
  if (isWhole) return chains;
  const made = madeLater.get(plan) ?? {
    4: compileRuleset({ family: 4, ...ruleset }),
    6: compileRuleset({ family: 6, ...ruleset }),
  };
  madeLater.set(plan, made);
  return made;
}

const madeLater = new WeakMap<Plan, Plan["chains"]>();

/** How many lines and entries the plan writes. */
export function writesOf({ ipset, tables, recent, obsoleteSets }: Plan): number {
  const ofTables = [...tables[4], ...tables[6]].reduce((sum, lines) => sum + lines.split("\n").length, 0);
  return ipset.length + ofTables + recent.length + obsoleteSets.length;
}
