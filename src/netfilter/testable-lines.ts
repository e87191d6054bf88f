import type { Family } from "../domain/network.ts";
import { operatorName } from "./bans/names.ts";
import type { Plan } from "./plan.ts";

/** The lines with another set's name for each set that is not made yet: iptables looks names up even when it is only to test. */
export function testable({ ipset, tables }: Plan, family: Family): readonly string[] {
  const missing = new Set(ipset.filter((line) => line.startsWith("create ")).map((line) => line.split(" ")[1] ?? ""));
  const standIn = operatorName(family);
  // A kernel that has nothing of ours has no set to stand in; it is asked when the rules are written.
  if (missing.has(standIn)) return [];
  return tables[family].map((line) =>
    line.replace(/ --(match|add)-set (\S+) /, (words, option: string, name: string) =>
      missing.has(name) ? ` --${option}-set ${standIn} ` : words,
    ),
  );
}
