import { isIPv4 } from "node:net";
import { formatNetwork, parseNetwork } from "../../domain/network.ts";
import { copyOf, newSet, type SavedSet } from "./saved-sets.ts";

/**
 * Notes in sets what lines of `ipset restore` have made of them, so that they need not be read again for what this service itself has
 * written.
 * @param age whole seconds since the sets were read: the times of their entries count from then
 * @returns false when it can't be told what the sets hold now
 */
export function noteLines(sets: Map<string, SavedSet>, lines: readonly string[], age: number): boolean {
  for (const line of lines) {
    const [command, name = "", ...words] = line.split(" ");
    const [element = "", , timeout] = words;
    if (command === "create" && !sets.has(name)) {
      sets.set(name, newSet(name, words.join(" ")));
      continue;
    }
    const entries = sets.get(name)?.entries;
    if (entries === undefined || (command !== "add" && command !== "del")) return false;
    // A start writes tens of thousands, and an address of IPv4 has one way to be written.
    const address = isIPv4(element) ? copyOf(element) : formatNetwork(parseNetwork(element));
    const seconds = Number(timeout ?? 0);
    if (command === "del") entries.delete(address);
    else entries.set(address, { address, secondsLeft: seconds === 0 ? null : seconds + age });
  }
  return true;
}
