import type { Family } from "../../domain/network.ts";
import { operatorName } from "../bans/names.ts";
import { entryChain } from "./rule.ts";

/** So many rules about lists may stand before the one that every packet meets: their names are compared within a microsecond. */
const fewRules = 64;

/**
 * A change that makes the list which every packet is looked up in before all others, out of the lines of one that makes the whole
 * table; none where the entry chain is there already, or lists are few. The kernel finds a list by comparing its name with those of
 * all lists in the order of their making, and both families share them: behind the lists of 1,000 policies each look-up takes 30 µs
 * (net/netfilter/xt_recent.c, recent_table_lookup). Nothing leads to the chain yet; the whole change fills it anew, which keeps the
 * list and its place.
 */
export function firstListOf(lines: readonly string[], family: Family): readonly string[] {
  const chain = lines.find((line) => line.startsWith(`:${entryChain} `));
  const check = lines.find((line) => line.startsWith(`-A ${entryChain} `) && line.includes(` --name ${operatorName(family)} `));
  const hasMany = lines.filter((line) => line.includes(" -m recent ")).length > fewRules;
  return chain === undefined || check === undefined || !hasMany
    ? []
    : ["*filter", chain, check.replace(/ -j \S+$/, ""), "COMMIT"];
}
