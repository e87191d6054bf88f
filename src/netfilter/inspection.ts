import type { ListFill, RecentList, RecentListSummary } from "../domain/inspection.ts";
import type { Family } from "../domain/network.ts";
import { EnforcementDelayed } from "../domain/ports.ts";
import type { RunCommand } from "./command/run.ts";
import type { SavedSet } from "./ipset/saved-sets.ts";
import { type Backend, programOf } from "./iptables/backend.ts";
import { isOwnJump } from "./iptables/saved-table.ts";
import { ownListPattern, type RecentLists } from "./recent/list-files.ts";

const families = [4, 6] as const satisfies readonly Family[];
/** Tables whose rules see a packet before the filter table does. */
const earlierTables = ["raw", "mangle"] as const;
/** What no packet to this host meets. */
const otherPaths = /^-A (OUTPUT|FORWARD|POSTROUTING) /;

/**
 * Rules of others that can decide about a packet before ours: those above the jump in INPUT, and those that drop in earlier tables.
 * As `iptables-save` prints them, with the family and table in front.
 */
export async function readShadows(backend: Backend, run: RunCommand): Promise<readonly string[]> {
  const found: string[] = [];
  // One after the other: each start of a program keeps the event loop for as long as it takes to copy this process.
  for (const family of families) {
    const tables = await rulesOf(family, backend, run);
    const above = aboveJump(tables.get("filter") ?? []).map((rule) => `IPv${family} filter: ${rule}`);
    const earlier = earlierTables.flatMap((table) =>
      (tables.get(table) ?? [])
        .filter((rule) => /-[jg] (DROP|REJECT)\b/.test(rule) && !otherPaths.test(rule))
        .map((rule) => `IPv${family} ${table}: ${rule}`),
    );
    found.push(...above, ...earlier);
  }
  return found;
}

/** The programs that end connections. */
export const severingPrograms = ["conntrack", "ss"] as const;

/** How full this service's lists and sets are. */
export function readFill(lists: RecentLists, sets: ReadonlyMap<string, SavedSet> | null): readonly ListFill[] {
  const capacity = lists.capacity();
  const own = lists.names().filter((name) => ownListPattern.test(name));
  return [
    ...own.map((name) => ({ name, kind: "xt_recent" as const, entries: lists.read(name)?.length ?? 0, capacity })),
    ...[...(sets?.values() ?? [])].map((set) => ({
      name: set.name,
      kind: "ipset" as const,
      entries: set.entries.size,
      capacity: set.capacity,
    })),
  ];
}

/** Every xt_recent list on the host, those of others too. */
export function readRecentLists(lists: RecentLists): readonly RecentListSummary[] {
  const capacity = lists.capacity();
  return lists
    .names()
    .toSorted()
    .map((name) => ({ name, own: ownListPattern.test(name), entries: lists.read(name)?.length ?? 0, capacity }));
}

/** One of them with its entries, the latest first; undefined when there is no such list. */
export function readRecentList(
  lists: RecentLists,
  name: string,
  wallTimeOf: (jiffies: number) => number,
): RecentList | undefined {
  const entries = lists.names().includes(name) ? lists.read(name) : undefined;
  return (
    entries && {
      name,
      own: ownListPattern.test(name),
      capacity: lists.capacity(),
      entries: entries
        .map(({ address, lastSeen, stamps }) => ({ address, lastSeenAt: wallTimeOf(lastSeen), seenAt: stamps.map(wallTimeOf) }))
        .sort((a, b) => b.lastSeenAt - a.lastSeenAt),
    }
  );
}

/** The rules of each table that the kernel has; to ask the legacy program for one by name would make the kernel set it up. */
async function rulesOf(family: Family, backend: Backend, run: RunCommand): Promise<ReadonlyMap<string, readonly string[]>> {
  const program = `${programOf(family, backend)}-save`;
  const { exitCode, stdout, failure } = await run(program, []);
  if (exitCode !== 0) throw new EnforcementDelayed(`${program} fails: ${failure ?? exitCode}`);
  const tables = new Map<string, string[]>();
  let rules: string[] = [];
  for (const line of stdout.split("\n")) {
    if (line.startsWith("*")) {
      rules = [];
      tables.set(line.slice(1), rules);
    } else if (line.startsWith("-A ")) rules.push(line);
  }
  return tables;
}

function aboveJump(rules: readonly string[]): readonly string[] {
  const input = rules.filter((rule) => rule.startsWith("-A INPUT"));
  const jump = input.findIndex((rule) => isOwnJump(rule));
  return jump < 0 ? input : input.slice(0, jump);
}
