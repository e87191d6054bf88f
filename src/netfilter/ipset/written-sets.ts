import { formatNetwork, parseNetwork } from "../../domain/network.ts";
import { entriesByAddress, type SavedSet, type SetEntry, withEntries } from "./saved-sets.ts";

/**
 * What sets hold after lines of `ipset restore`, so that they need not be read again for what this service itself has written.
 * @param age whole seconds since the sets were read: the times of their entries count from then
 */
export function afterLines(
  sets: ReadonlyMap<string, SavedSet>,
  lines: readonly string[],
  age: number,
): ReadonlyMap<string, SavedSet> | undefined {
  const changed = new Map<string, Map<string, SetEntry>>();
  for (const line of lines) {
    const [command, name = "", element = "", , timeout] = line.split(" ");
    const set = sets.get(name);
    if (set === undefined || (command !== "add" && command !== "del")) return undefined;
    const entries = changed.get(name) ?? new Map(entriesByAddress(set));
    const address = formatNetwork(parseNetwork(element));
    const seconds = Number(timeout ?? 0);
    if (command === "del") entries.delete(address);
    else entries.set(address, { address, secondsLeft: seconds === 0 ? null : seconds + age });
    changed.set(name, entries);
  }
  return new Map(
    [...sets].map(([name, set]) => {
      const entries = changed.get(name);
      return [name, entries ? withEntries(set, entries) : set];
    }),
  );
}
