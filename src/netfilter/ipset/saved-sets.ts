import { formatNetwork, NetworkSyntaxError, parseNetwork } from "../../domain/network.ts";

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

/** How many entries each set of this service has, by the text of `ipset list -terse`. */
export function parseSetSizes(text: string): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const [, name = "", size] of text.matchAll(/^Name: (\S+)\n(?:(?!Name: ).*\n)*?Number of entries: (\d+)$/gm)) {
    if (ownName.test(name)) sizes.set(name, Number(size));
  }
  return sizes;
}

const ownName = /^cld[46]-[a-z0-9-]+$/;

/** The output of `ipset save` was something else: the program failed, although it may have exited with 0. */
export class SetOutputError extends Error {
  override readonly name = "SetOutputError";
}

/**
 * Reads the text of `ipset save`, leaving out the sets of others.
 * @throws {SetOutputError} for a line that is neither a set nor an entry
 */
export function parseSavedSets(text: string): ReadonlyMap<string, SavedSet> {
  const sets = new Map<string, SavedSet>();
  for (const line of text.split("\n")) {
    const [command, name, ...words] = line.split(" ");
    if (command !== "create" && command !== "add" && line !== "")
      throw new SetOutputError(`the list of sets can't be read at: ${line.slice(0, 200)}`);
    if (name === undefined || !ownName.test(name)) continue;
    if (command === "create") {
      const shape = shapeOf(words);
      sets.set(name, { name, shape, capacity: Number(optionOf(words, "maxelem")), entries: new Map() });
    } else if (command === "add") {
      const address = canonical(words[0] ?? "");
      const left = Number(optionOf(words, "timeout") ?? 0);
      if (address !== undefined) sets.get(name)?.entries.set(address, { address, secondsLeft: left === 0 ? null : left });
    }
  }
  return sets;
}

/** The decisive words of a set's definition; equal shapes can stand for each other. */
export function shapeOf(words: readonly string[]): string {
  const [type = ""] = words;
  const options = ["family", "netmask", "maxelem"].flatMap((name) => {
    const value = optionOf(words, name);
    return value === undefined ? [] : [`${name} ${value}`];
  });
  return [type, ...options].join(" ");
}

function optionOf(words: readonly string[], name: string): string | undefined {
  const index = words.indexOf(name);
  return index < 0 ? undefined : words[index + 1];
}

function canonical(text: string): string | undefined {
  try {
    return formatNetwork(parseNetwork(text));
  } catch (error) {
    if (error instanceof NetworkSyntaxError) return undefined;
    throw error;
  }
}
