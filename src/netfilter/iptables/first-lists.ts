import type { Family } from "../../domain/network.ts";
import { activityName, operatorName } from "../bans/names.ts";
import { canaryChain, entryChain } from "./rule.ts";

/** So many rules about lists may stand before the one that every packet meets: their names are compared within a microsecond. */
const fewRules = 64;

/**
 * A change that makes the lists which are looked up most, out of the lines of one that makes the whole table: the one that every packet is
 * looked up in before all others, and the one that every packet over some limit is noted in. None where the entry chain is there already, or
 * lists are few. The kernel finds a list by comparing its name with those of all lists in the order of their making, and both families share
 * them: behind the lists of 1,000 policies each look-up takes 30 µs (net/netfilter/xt_recent.c, recent_table_lookup), and a legacy table with as
 * many rules looks each list up twice when it is replaced. Nothing leads to the chains yet; the whole change fills them anew, which keeps the
 * lists and their places.
 */
export function firstListsOf(lines: readonly string[], family: Family): readonly string[] {
  const hasMany = lines.filter((line) => line.includes(" -m recent ")).length > fewRules;
  const checks = [
    [entryChain, operatorName(family)],
    [canaryChain, activityName(family)],
  ].map(([chain, list]) => ({
    declaration: lines.find((line) => line.startsWith(`:${chain} `)),
    rule: lines.find((line) => line.startsWith(`-A ${chain} `) && line.includes(` --name ${list} `)),
  }));
  const [entry] = checks;
  if (!hasMany || entry?.declaration === undefined || entry.rule === undefined) return [];
  const made = checks.flatMap(({ declaration, rule }) =>
    declaration === undefined || rule === undefined ? [] : [declaration, rule.replace(/ -j \S+$/, "")],
  );
  return ["*filter", ...made, "COMMIT"];
}
