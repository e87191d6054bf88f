import { EnforcementDelayed } from "../domain/ports.ts";
import type { ListWrite } from "./bans/timed-entries.ts";
import type { RecentLists } from "./recent/list-files.ts";

/** Writes entries of lists, and reads back that they hold what was added. @throws {EnforcementDelayed} when they do not */
export function writeEntries(lists: RecentLists, writes: readonly ListWrite[]): void {
  for (const { list, write } of writes) {
    // A list that is gone holds nothing that would have to be taken out.
    if (!lists.write(list, write) && write.startsWith("+")) throw new EnforcementDelayed(`the list ${list} is missing`);
  }
  const added = writes.filter(({ write }) => write.startsWith("+"));
  for (const [list, own] of Map.groupBy(added, (write) => write.list)) {
    const held = new Set(lists.read(list)?.map((entry) => entry.address));
    const lost = own.filter(({ write }) => !held.has(write.slice(1)));
    if (lost.length > 0)
      throw new EnforcementDelayed(`the list ${list} does not hold ${lost.length} of the entries written to it`);
  }
}
