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
 * @param place where in the text the earlier piece has ended, which is noted in it
 * @throws {SetOutputError} for a line that is neither a set nor an entry
 */
export function parseSavedSets(text: string, sets = new Map<string, SavedSet>(), place = startOfText()): Map<string, SavedSet> {
  for (let start = 0; start < text.length; ) {
    if (!place.inComment) start = readEntries(text, start, place);
    const newline = text.indexOf("\n", start);
    const line = text.slice(start, newline < 0 ? undefined : newline);
    start += line.length + 1;
    if (!place.inComment && line !== "") noteLine(sets, line, place);
    if (line.includes('"') && line.split('"').length % 2 === 0) place.inComment = !place.inComment;
  }
  return sets;
}

/** Where a piece of the text has ended. */
export interface TextPlace {
  /** A comment, which stands between quotes and has none, can have any number of lines, whatever they look like. */
  inComment: boolean;
  /** The last of this service's own sets, and how lines of its entries begin; undefined before the first. */
  set: SavedSet | undefined;
  beginning: string;
}

export function startOfText(): TextPlace {
  return { inComment: false, set: undefined, beginning: "" };
}

/** An entry as this service makes them; ipset prints addresses in canonical text, but for IPv4 addresses within IPv6 ones. */
const plainEntry = /((?:\d+\.\d+\.\d+\.\d+|[0-9a-f:]*:[0-9a-f:]*)(?:\/\d+)?)(?: timeout (\d+))?\n/y;

/** Reads what follows of plain entries of that set, of which there are tens of thousands; the result is where they end. */
function readEntries(text: string, start: number, { set, beginning }: TextPlace): number {
  if (set === undefined) return start;
  let end = start;
  while (text.startsWith(beginning, end)) {
    plainEntry.lastIndex = end + beginning.length;
    const found = plainEntry.exec(text);
    if (found === null) break;
    const [, address = "", left = "0"] = found;
    noteEntry(set, copyOf(address), Number(left));
    end = plainEntry.lastIndex;
  }
  return end;
}

function noteEntry({ entries }: SavedSet, address: string, left: number): void {
  entries.set(address, { address, secondsLeft: left === 0 ? null : left });
}

function noteLine(sets: Map<string, SavedSet>, line: string, place: TextPlace): void {
  const [, command, name = "", rest = ""] = /^(create|add)(?: ([^ ]+))?(?: (.*))?$/s.exec(line) ?? [];
  // A name can hold a line's end.
  if (command === undefined || name === "") throw new SetOutputError(`the list of sets can't be read at: ${line.slice(0, 200)}`);
  if (!ownName.test(name)) return;
  if (command === "create") {
    const made = newSet(copyOf(name), rest);
    sets.set(made.name, made);
    place.set = made;
    place.beginning = `add ${made.name} `;
    return;
  }
  const words = rest.split(" ");
  const set = sets.get(name);
  const address = canonical(words[0] ?? "");
  if (set !== undefined && address !== undefined) noteEntry(set, address, Number(optionOf(words, "timeout") ?? 0));
}

/** A set without entries, by the words after its name in the line that creates it. */
export function newSet(name: string, words: string): SavedSet {
  // Each set has a number of its own that says nothing. What is remembered must keep no text.
  const { shape, capacity } = termsOf(copyOf(words.replace(/ initval [^ ]+/, "")));
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

const [shortest, scratch] = [13, Buffer.alloc(256)];

/** Of a part of a text, V8 keeps the whole text, unless the part is very short: a ban that is remembered would keep megabytes. */
export function copyOf(part: string): string {
  if (part.length < shortest) return part;
  return part.length > scratch.length
    ? Buffer.from(part, "latin1").toString("latin1")
    : scratch.toString("latin1", 0, scratch.write(part, "latin1"));
}

function canonical(text: string): string | undefined {
  try {
    return formatNetwork(parseNetwork(text));
  } catch (error) {
    if (error instanceof NetworkSyntaxError) return undefined;
    throw error;
  }
}
