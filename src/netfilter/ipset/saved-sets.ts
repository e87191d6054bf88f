import { formatNetwork, NetworkSyntaxError, parseNetwork } from "../../domain/network.ts";
import { memo } from "../memo.ts";

/** One element of a set. */
export interface SetEntry {
  /** Canonical address or network. */
  readonly address: string;
  /** Whole seconds that are left, as the kernel rounds them down; null: no end. */
  readonly secondsLeft: number | null;
}

/** A set of this service as the kernel has it. */
export interface SavedSet {
  readonly name: string;
  /** The words of its `create` line that this service decides about, in its own order: type, family, netmask, maxelem. */
  readonly shape: string;
  readonly capacity: number;
  /** By address. What this service writes afterwards is noted in it: a copy of tens of thousands for each write would cost more than the write. */
  readonly entries: Map<string, SetEntry>;
}

/** What the text of `ipset list -terse` tells of each set of this service. */
export function parseSetNumbers(text: string, what: "Number of entries" | "References"): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  const pattern = new RegExp(`^Name: (\\S+)\n(?:(?!Name: ).*\n)*?${what}: (\\d+)$`, "gm");
  for (const [, name = "", value] of text.matchAll(pattern)) if (ownName.test(name)) numbers.set(name, Number(value));
  return numbers;
}

const ownName = /^cld[46]-[a-z0-9-]+$/;

/** The output of `ipset save` was something else: the program failed, although it may have exited with 0. */
export class SetOutputError extends Error {
  override readonly name = "SetOutputError";
}

/**
 * Reads the text of `ipset save`, leaving out the sets of others.
 * @param sets what an earlier piece of the text has told; this one is added to it
 * @param place where in the text the earlier piece has ended
 * @throws {SetOutputError} for a line that is neither a set nor an entry
 */
export function parseSavedSets(
  text: string,
  sets = new Map<string, SavedSet>(),
  place: TextPlace = { inComment: false },
): Map<string, SavedSet> {
  for (const line of text.split("\n")) {
    if (!place.inComment && line !== "") noteLine(sets, line);
    if (line.includes('"') && line.split('"').length % 2 === 0) place.inComment = !place.inComment;
  }
  return sets;
}

/** A comment, which stands between quotes and has none, can have any number of lines, whatever they look like. */
export interface TextPlace {
  inComment: boolean;
}

function noteLine(sets: Map<string, SavedSet>, line: string): void {
  const [command, name, ...words] = line.split(" ");
  if (command !== "create" && command !== "add")
    throw new SetOutputError(`the list of sets can't be read at: ${line.slice(0, 200)}`);
  if (name === undefined || !ownName.test(name)) return;
  if (command === "create") {
    sets.set(name, newSet(copyOf(name), words));
    return;
  }
  const address = canonical(words[0] ?? "");
  const left = Number(optionOf(words, "timeout") ?? 0);
  if (address !== undefined) sets.get(name)?.entries.set(address, { address, secondsLeft: left === 0 ? null : left });
}

/** A set without entries, by the words after its name in the line that creates it. */
export function newSet(name: string, words: readonly string[]): SavedSet {
  // Each set has a number of its own that says nothing.
  const { shape, capacity } = termsOf(words.filter((_, index) => words[index - 1] !== "initval").join(" "));
  return { name, shape, capacity, entries: new Map() };
}

/** Thousands of sets are defined in a few ways. */
const termsOf = memo((text) => {
  const words = text.split(" ");
  const [type = ""] = words;
  const options = ["family", "netmask", "maxelem"].flatMap((name) => {
    const value = optionOf(words, name);
    return value === undefined ? [] : [`${name} ${value}`];
  });
  return { shape: [type, ...options].join(" "), capacity: Number(optionOf(words, "maxelem")) };
});

/** The decisive words of a set's definition; equal shapes can stand for each other. @param words those after its name, with blanks between */
export function shapeOf(words: string): string {
  return termsOf(words).shape;
}

function optionOf(words: readonly string[], name: string): string | undefined {
  const index = words.indexOf(name);
  return index < 0 ? undefined : words[index + 1];
}

/** Of a part of a text, V8 keeps the whole text: a ban that is remembered would keep megabytes. */
export function copyOf(part: string): string {
  return Buffer.from(part, "latin1").toString("latin1");
}

/** ipset prints addresses in canonical text, but for IPv4 addresses within IPv6 ones. */
const printedCanonically = /^(\d+\.\d+\.\d+\.\d+|[0-9a-f:]*:[0-9a-f:]*)(\/\d+)?$/;

function canonical(text: string): string | undefined {
  if (printedCanonically.test(text)) return copyOf(text);
  try {
    return formatNetwork(parseNetwork(text));
  } catch (error) {
    if (error instanceof NetworkSyntaxError) return undefined;
    throw error;
  }
}
