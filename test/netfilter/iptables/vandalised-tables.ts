import fc from "fast-check";
import { isOwnJump } from "../../../src/netfilter/iptables/saved-table.ts";
import { RestoreError, type RuleInstance, restoreLines, type TableModel } from "../../support/table-model.ts";

/** Something that another tool, or somebody in a hurry, did to the table. The numbers pick a chain and a rule. */
export type Vandalism = (table: TableModel) => readonly string[];

const pick = fc.nat({ max: 10_000 });

export function ownChains(table: TableModel): readonly string[] {
  return [...table.keys()].filter((name) => name.startsWith("CLD-"));
}

function at<T>(items: readonly T[], index: number): T | undefined {
  return items.length === 0 ? undefined : items[index % items.length];
}

/** Acts on one rule of one own chain that has any. */
function onOwnRule(
  act: (chain: string, position: number, rule: string, length: number) => readonly string[],
): fc.Arbitrary<Vandalism> {
  return fc.tuple(pick, pick).map(([chainPick, rulePick]) => (table) => {
    const chain = at(
      ownChains(table).filter((name) => (table.get(name) ?? []).length > 0),
      chainPick,
    );
    const rules = (chain === undefined ? undefined : table.get(chain)) ?? [];
    const rule = at(rules, rulePick);
    return chain === undefined || rule === undefined ? [] : act(chain, 1 + (rulePick % rules.length), rule.text, rules.length);
  });
}

export const deleted = onOwnRule((chain, position) => [`-D ${chain} ${position}`]);
export const inserted = onOwnRule((chain, position) => [`-I ${chain} ${position} -p udp -j ACCEPT`]);
export const changed = onOwnRule((chain, position, rule) => [
  `-D ${chain} ${position}`,
  `-I ${chain} ${position} -i eth0 ${rule}`,
]);
const doubled = onOwnRule((chain, position, rule) => [`-I ${chain} ${position} ${rule}`]);
const moved = onOwnRule((chain, position, rule, length) => [
  `-D ${chain} ${position}`,
  `-I ${chain} ${1 + ((position * 7) % length)} ${rule}`,
]);
const flushed = onOwnRule((chain) => [`-F ${chain}`]);
const unknownChain = fc.tuple(pick, fc.boolean()).map(
  ([number, busy]): Vandalism =>
    () => [`:CLD-X${number % 3} - [0:0]`, ...(busy ? [`-A CLD-X${number % 3} -j CLD-X${number % 3}`] : [])],
);
const foreignRule = fc.tuple(fc.constantFrom("INPUT", "FORWARD", "OUTPUT"), pick).map(
  ([chain, number]): Vandalism =>
    (table) => [`-I ${chain} ${1 + (number % ((table.get(chain) ?? []).length + 1))} -p tcp -m tcp --dport ${number} -j ACCEPT`],
);
const foreignReference = pick.map(
  (number): Vandalism =>
    (table) => [`-A FORWARD -s 192.0.2.${number % 256}/32 -j ${at(ownChains(table), number) ?? "ACCEPT"}`],
);
const foreignChain = pick.map(
  (number): Vandalism =>
    () => [`:f2b-${number} - [0:0]`, `-A f2b-${number} -j RETURN`, `-A INPUT -p tcp -j f2b-${number}`],
);
const jumpGone: Vandalism = (table) => jumps(table).map((rule) => `-D INPUT ${rule.text}`);
const jumpDoubled: Vandalism = (table) => jumps(table).map((rule) => `-A INPUT ${rule.text}`);

/** Some of it, one after the other. */
export const vandalism: fc.Arbitrary<readonly Vandalism[]> = fc.array(
  fc.oneof(
    deleted,
    inserted,
    changed,
    doubled,
    moved,
    flushed,
    unknownChain,
    foreignRule,
    foreignReference,
    foreignChain,
    fc.constantFrom(jumpGone, jumpDoubled),
  ),
  { maxLength: 12 },
);

/** The table after all of it that iptables would do. */
export function vandalised(table: TableModel, acts: readonly Vandalism[]): TableModel {
  return acts.reduce((before, act) => {
    const lines = act(before);
    if (lines.length === 0) return before;
    try {
      return restoreLines(before, ["*filter", ...lines, "COMMIT"].join("\n"));
    } catch (error) {
      if (error instanceof RestoreError) return before;
      throw error;
    }
  }, table);
}

export function jumps(table: TableModel): readonly RuleInstance[] {
  return (table.get("INPUT") ?? []).filter((rule) => isOwnJump(rule.text));
}
