import type { Family } from "../../domain/network.ts";
import type { Policy } from "../../domain/policy.ts";
import { ruleText } from "./rule-text.ts";
import { chainsOfPolicy } from "./ruleset.ts";
import type { TableChange } from "./table-diff.ts";

/** The own chains of some policies in the words and the order in which iptables lists them, all in one text. */
export interface ChainsText {
  /** The policies, sorted. */
  readonly policies: readonly string[];
  /** The rules of all chains: those for sources over the limit come first, then those that count. */
  readonly rules: string;
  /** Where the rules of each chain end in it. */
  readonly ends: readonly number[];
}

/** What is known of the chains of policies without composing them. */
export interface KnownChains {
  readonly texts: Readonly<Record<Family, ChainsText>>;
  /** Those of the policies whose chains would be composed the same now. */
  readonly current: ReadonlySet<string>;
}

/** What is left of a listing without those chains of policies that have all their rules as they should be, word for word. */
export interface Remainder {
  /** The lines that are none of a known chain as it is known, in their order. */
  readonly unknown: string;
  /** Lines of chains that are as they are known, but have to be looked at all the same: their declarations and their rules. */
  readonly restored: { readonly declarations: readonly string[]; readonly rules: readonly string[] };
  /** The policies whose chains are left out. */
  readonly standing: ReadonlySet<string>;
}

const kinds = ["CLD-O-", "CLD-P-"] as const;
/** With more chains than these that are not the expected ones, whoever compares line by line is as fast. */
const manyDifferent = 300;
const nobody: ReadonlySet<string> = new Set();

/** @param policies sorted by name, none `off` */
export function chainsText(policies: readonly Policy[], family: Family): ChainsText {
  const [over, counting]: [string[], string[]] = [[], []];
  for (const policy of policies) {
    for (const [chain, rules] of chainsOfPolicy(policy, family, true)) {
      const lines = rules.map((rule) => `-A ${chain} ${ruleText(rule, family)}\n`).join("");
      (chain.startsWith(kinds[0]) ? over : counting).push(lines);
    }
  }
  let end = 0;
  const ends = [...over, ...counting].map((lines) => {
    end += lines.length;
    return end;
  });
  return { policies: policies.map(({ name }) => name), rules: [...over, ...counting].join(""), ends };
}

/**
 * A change of a table that makes those of the known chains too, which it has not.
 * @param change of a table without own chains
 * @param wanted the policies whose chains it makes
 */
export function withKnown(change: TableChange, { policies, rules, ends }: ChainsText, wanted: ReadonlySet<string>): TableChange {
  const all = kinds.flatMap((kind) => policies.map((policy) => ({ policy, chain: kind + policy })));
  const made = [...all.entries()].filter(([, { policy }]) => wanted.has(policy));
  const chains = made.map(([, { chain }]) => chain);
  const pieces = made.map(([index]) => rules.slice(index === 0 ? 0 : ends[index - 1], ends[index]).trimEnd());
  const [begin = "*filter", ...rest] = change.lines.slice(0, -1);
  // All chains are there before the first rule that leads to one.
  const declarations = chains.map((chain) => `:${chain} - [0:0]`);
  return {
    lines: [begin, ...declarations, ...rest, ...pieces, "COMMIT"],
    found: [...change.found, ...chains.map((chain) => `chain ${chain} missing`)],
  };
}

/**
 * Takes out of a listing what needs no closer look: comparing long texts takes next to nothing, while thousands of rules one by one take most of a start.
 * @param listing what `iptables -S` prints
 * @param known the chains as they were composed some time ago
 * @param current those of its policies whose chains would be composed the same now
 */
export function withoutStanding(listing: string, known: ChainsText, current: ReadonlySet<string>): Remainder {
  const names = kinds.flatMap((kind) => known.policies.map((policy) => kind + policy));
  const declarations = names.map((name) => `-N ${name}\n`);
  let end = 0;
  const declarationEnds = declarations.map((line) => {
    end += line.length;
    return end;
  });
  const declared = { names, text: declarations.join(""), ends: declarationEnds, prefix: "-N " };
  const ruled = { names, text: known.rules, ends: known.ends, prefix: "-A " };
  const whole = { unknown: listing, restored: { declarations: [], rules: [] }, standing: nobody };
  const [first, second] = [regionOf(listing, "-N "), regionOf(listing, "-A ")];
  if (first === undefined || second === undefined || first.to > second.from) return whole;
  const [lines, rules] = [compare(listing, first, declared), compare(listing, second, ruled)];
  if (lines === undefined || rules === undefined) return whole;
  const policyAt = (index: number): string => known.policies[index % known.policies.length] ?? "";
  const differing = new Set([...lines.different, ...rules.different].map(policyAt));
  const standing = new Set(known.policies.filter((policy) => current.has(policy) && !differing.has(policy)));
  const kept = [...names.keys()].filter((index) => !standing.has(policyAt(index)));
  const restored = ({ different }: Comparison, block: Block): readonly string[] =>
    kept.filter((index) => !different.has(index)).map((index) => block.text.slice(startOf(block, index), block.ends[index]));
  const unknown = [
    listing.slice(0, first.from),
    ...lines.rest,
    listing.slice(first.to, second.from),
    ...rules.rest,
    listing.slice(second.to),
  ];
  return {
    unknown: unknown.join(""),
    restored: { declarations: restored(lines, declared), rules: restored(rules, ruled) },
    standing,
  };
}

interface Region {
  readonly from: number;
  readonly to: number;
}

/** The lines of a listing from the first to the last that are about chains of policies. */
function regionOf(listing: string, prefix: string): Region | undefined {
  const [first, last] = [listing.indexOf(`\n${prefix}${kinds[0]}`), listing.lastIndexOf(`\n${prefix}${kinds[1]}`)];
  const end = listing.indexOf("\n", last + 1);
  return first < 0 || last < first || end < 0 ? undefined : { from: first + 1, to: end + 1 };
}

/** Known chains, one text behind the other. */
interface Block {
  readonly names: readonly string[];
  readonly text: string;
  readonly ends: readonly number[];
  /** With what a line begins, before the chain's name. */
  readonly prefix: string;
}

interface Comparison {
  /** By their index, the chains that the listing has not, or not so. */
  readonly different: ReadonlySet<number>;
  /** The lines of all other chains. */
  readonly rest: readonly string[];
}

function startOf({ ends }: Block, index: number): number {
  return index === 0 ? 0 : (ends[index - 1] ?? 0);
}

/** Undefined where too many chains are different. */
function compare(listing: string, region: Region, block: Block): Comparison | undefined {
  const different = new Set<number>();
  const rest: string[] = [];
  let place: Place = { at: region.from, index: 0 };
  for (;;) {
    place = behindSame(listing, region.to, block, place);
    const { at, index } = place;
    if (at >= region.to) break;
    if (different.size + rest.length > manyDifferent) return undefined;
    const chain = chainAt(listing, at, block.prefix);
    const order = orderOf(chain, block.names[index]);
    if (order >= 0) different.add(index);
    const end = order <= 0 ? endOfChain(listing, at, chain && `${block.prefix}${chain} `) : at;
    if (end > at) rest.push(listing.slice(at, end));
    place = { at: end, index: order >= 0 ? index + 1 : index };
  }
  for (let { index } = place; index < block.names.length; index += 1) different.add(index);
  return { different, rest };
}

/** Where a chain begins, or would: in the listing, and among the known ones. */
interface Place {
  readonly at: number;
  readonly index: number;
}

/** The first place from one on where the listing has not the same chain as is known. */
function behindSame(listing: string, to: number, block: Block, { at, index }: Place): Place {
  const { names, text, ends, prefix } = block;
  const start = startOf(block, index);
  const same = commonLength(listing.slice(at, to), text.slice(start));
  let next = index;
  while (next < names.length && (ends[next] ?? 0) <= start + same) next += 1;
  const behind = at + startOf(block, next) - start;
  // The last of them may go on in the listing with a rule more.
  if (next === index || !listing.startsWith(`${prefix}${names[next - 1]} `, behind)) return { at: behind, index: next };
  return { at: at + startOf(block, next - 1) - start, index: next - 1 };
}

/** Below zero: the listing has a chain, or another line, that is not known; above zero: it has not the expected one. */
function orderOf(chain: string | undefined, expected: string | undefined): number {
  if (chain === undefined || expected === undefined || chain < expected) return -1;
  return chain === expected ? 0 : 1;
}

const nameEnd = /[ \n]/g;

/** Whose line it is; undefined for one that is of another kind. */
function chainAt(listing: string, at: number, prefix: string): string | undefined {
  if (!listing.startsWith(prefix, at)) return undefined;
  nameEnd.lastIndex = at + prefix.length;
  return listing.slice(at + prefix.length, nameEnd.exec(listing)?.index);
}

/** Behind the last line, from a place on, that begins so; behind the first one for `undefined`. */
function endOfChain(listing: string, at: number, begin: string | undefined): number {
  let end = listing.indexOf("\n", at) + 1;
  while (begin !== undefined && listing.startsWith(begin, end)) end = listing.indexOf("\n", end) + 1;
  return end;
}

/** How many characters two texts have in common at their beginnings. */
function commonLength(one: string, other: string): number {
  const all = Math.min(one.length, other.length);
  const isCommon = (length: number): boolean => one.slice(0, length) === other.slice(0, length);
  let [low, step] = [0, 1024];
  while (low < all && isCommon(Math.min(all, low + step))) {
    low = Math.min(all, low + step);
    step *= 4;
  }
  let high = Math.min(all, low + step);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (isCommon(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
