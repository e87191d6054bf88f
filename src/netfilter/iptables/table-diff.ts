import { diffArrays } from "diff";
import type { Family } from "../../domain/network.ts";
import { type Chains, entryChain, type Rule } from "./rule.ts";
import { ruleText } from "./rule-text.ts";
import { isOwnJump, type SavedTable } from "./saved-table.ts";

/** The change that turns the actual table into the desired one. */
export interface TableChange {
  /** Lines for `iptables-restore --noflush`, or all that are about one chain, `*filter` and `COMMIT` included; none when nothing differs. */
  readonly lines: readonly string[];
  /** What differed, in words. */
  readonly found: readonly string[];
}

/** Chains of tables that were found to be the wanted ones: a table that nobody has changed is compared again and again. */
const heldBy = new WeakMap<SavedTable, Map<string, readonly Rule[]>>();

const jumpRule: Rule = { matches: [], target: { kind: "jump", chain: entryChain } };

/**
 * The smallest change from `actual` to `desired`: rules in place stay, so that they keep what they have counted. Own rules in
 * `INPUT` are removed by their words, never by number, so that no race with another tool can hit a foreign rule.
 * @param desired null: nothing of this service's is to remain
 */
export function diffTable(actual: SavedTable, desired: Chains | null, family: Family): TableChange {
  const wanted: Chains = desired ?? new Map();
  const changes = changesOfChains(actual, wanted, family);
  const found = changes.flatMap((change) => change.found);
  const jump = jumpEdits(actual.input, desired === null ? null : ruleText(jumpRule, family));
  if (jump.length > 0) found.push(desired === null ? "the jump from INPUT" : "the jump was not the first rule of INPUT, once");
  const obsolete = [...actual.own.keys()].filter((chain) => !wanted.has(chain)).sort();
  const flushed = obsolete.filter((chain) => (actual.own.get(chain)?.length ?? 0) > 0);
  const removed = obsolete.filter((chain) => !actual.referenced.has(chain));
  for (const chain of removed) found.push(`chain ${chain} not wanted`);
  for (const chain of flushed) if (!removed.includes(chain)) found.push(`rules of chain ${chain} not wanted`);
  const body = [
    ...changes.flatMap((change) => change.created),
    ...changes.flatMap((change) => change.edited),
    ...jump,
    ...flushed.map((chain) => `-F ${chain}`),
    ...removed.map((chain) => `-X ${chain}`),
  ];
  return { lines: body.length === 0 ? [] : ["*filter", ...body, "COMMIT"], found };
}

/** The changes of those chains that are not as they are wanted. */
function changesOfChains(actual: SavedTable, wanted: Chains, family: Family) {
  const held = heldBy.get(actual) ?? new Map<string, readonly Rule[]>();
  heldBy.set(actual, held);
  return [...wanted].flatMap(([chain, rules]) => {
    if (held.get(chain) === rules) return [];
    const texts = rules.map((rule) => ruleText(rule, family));
    const present = actual.own.get(chain);
    if (!present) {
      const edited = texts.map((text) => `-A ${chain} ${text}`);
      return [{ created: [`:${chain} - [0:0]`], edited, found: [`chain ${chain} missing`] }];
    }
    const edited = chainEdits(chain, present, texts);
    if (edited.length > 0) {
      const rulesThatDiffer = `${edited.length} ${edited.length === 1 ? "rule" : "rules"}`;
      return [{ created: [], edited, found: [`chain ${chain} differs in ${rulesThatDiffer}`] }];
    }
    held.set(chain, rules);
    return [];
  });
}

/** What a table is when it has taken the change to `desired`. */
export function tableAfter(actual: SavedTable, desired: Chains, family: Family): SavedTable {
  const stuck = [...actual.own.keys()].filter((chain) => !desired.has(chain) && actual.referenced.has(chain));
  const written = [...desired].map(([chain, rules]) => [chain, rules.map((rule) => ruleText(rule, family))] as const);
  const foreign = actual.input.filter((rule) => !isOwnJump(rule));
  return {
    ...actual,
    own: new Map([...stuck.map((chain): readonly [string, readonly string[]] => [chain, []]), ...written]),
    input: [ruleText(jumpRule, family), ...foreign],
  };
}

/**
 * Whether the table has one of the wanted chains with the most kinds of rules word for word, that of some policy: what was written there
 * once is printed as it was written.
 */
export function holdsAsWritten(actual: SavedTable, desired: Chains, family: Family): boolean {
  if (actual.standing !== undefined) return true;
  const ofPolicies = [...desired].filter(([chain]) => chain.startsWith("CLD-O-"));
  return (ofPolicies.length > 0 ? ofPolicies : [...desired]).some(([chain, rules]) => {
    const present = actual.own.get(chain);
    return (
      present !== undefined &&
      rules.length > 0 &&
      areSame(
        present,
        rules.map((rule) => ruleText(rule, family)),
      )
    );
  });
}

/** Whether two chains have the same rules, word for word. */
export function areSame(present: readonly string[], wanted: readonly string[]): boolean {
  return present.length === wanted.length && present.every((rule, index) => rule === wanted[index]);
}

/**
 * Whether the kernel's rule is the wanted one. Another version of iptables may print the same options in another order, with other
 * quotes or without defaults; an option more, less or different is another rule, whatever its comment says.
 */
function isSameRule(printed: string, wanted: string): boolean {
  return printed === wanted || (fingerprintOf(printed) === fingerprintOf(wanted) && optionsOf(printed) === optionsOf(wanted));
}

function fingerprintOf(text: string): string | undefined {
  return /--comment "?cld:([0-9a-f]+)"?/.exec(text)?.[1];
}

/** The options, each with its values, in one order. */
function optionsOf(text: string): string {
  const options = text.replaceAll('"', "").split(/ (?=-)/);
  return options
    .filter((option) => !defaultOptions.has(option))
    .sort()
    .join(" ");
}

/** Options that say what holds anyway, so that some versions of iptables leave them out. */
const defaultOptions: ReadonlySet<string> = new Set(["--rsource", "--connlimit-saddr"]);

/** The edits of one chain, by position, in an order in which each position holds when its turn comes. */
function chainEdits(chain: string, present: readonly string[], wanted: readonly string[]): string[] {
  if (areSame(present, wanted)) return [];
  const edits: string[] = [];
  let position = 1;
  let length = present.length;
  for (const part of diffArrays([...present], [...wanted], { comparator: isSameRule })) {
    if (!part.added && !part.removed) position += part.value.length;
    for (const rule of part.removed || part.added ? part.value : []) {
      if (part.removed) {
        edits.push(`-D ${chain} ${position}`);
        length -= 1;
      } else {
        edits.push(position > length ? `-A ${chain} ${rule}` : `-I ${chain} ${position} ${rule}`);
        position += 1;
        length += 1;
      }
    }
  }
  return edits;
}

/** Puts the jump at the top, once; `wanted` null takes it away. */
function jumpEdits(input: readonly string[], wanted: string | null): string[] {
  const ours = input.filter(isOwnJump);
  const [only] = ours;
  const inPlace = only !== undefined && ours.length === 1 && input[0] === only && wanted !== null && isSameRule(only, wanted);
  if (inPlace) return [];
  if (wanted === null && ours.length === 0) return [];
  return [...ours.map((rule) => `-D INPUT ${rule}`), ...(wanted === null ? [] : [`-I INPUT 1 ${wanted}`])];
}
