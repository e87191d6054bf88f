import type { Inspector, ListFill, RecentList, RecentListSummary } from "../domain/inspection.ts";
import type { Family } from "../domain/network.ts";
import type { RunCommand } from "./command/run.ts";
import type { CountWatch } from "./count-watch.ts";
import type { SavedSet } from "./ipset/saved-sets.ts";
import type { Backend } from "./iptables/backend.ts";
import { withoutTexts } from "./iptables/printed-lines.ts";
import { isOwnJump, type SavedTable } from "./iptables/saved-table.ts";
import type { KernelLists } from "./kernel-lists.ts";
import { otherBackendInUse } from "./other-backend.ts";
import { ownListPattern, type RecentLists } from "./recent/list-files.ts";

const families = [4, 6] as const satisfies readonly Family[];
/** What no packet to this host meets. */
const otherPaths = /^-A (OUTPUT|FORWARD|POSTROUTING) /;

/**
 * Rules of others that can decide about a packet before ours: those above the jump in INPUT, and those that drop in earlier tables.
 * As `iptables-save` prints them, with the family and table in front.
 * @param earlier the tables that see a packet before the filter table does
 */
export function shadowsOf(
  filter: Readonly<Record<Family, Pick<SavedTable, "input">>>,
  earlier: Readonly<Record<Family, ReadonlyMap<string, readonly string[]>>>,
): readonly string[] {
  return families.flatMap((family) => [
    ...aboveJump(filter[family].input).map((rule) => `IPv${family} filter: -A INPUT ${rule}`),
    ...[...earlier[family]].flatMap(([table, rules]) =>
      rules
        .filter((rule) => / -[jg] (DROP|REJECT)\b/.test(withoutTexts(rule)) && !otherPaths.test(rule))
        .map((rule) => `IPv${family} ${table}: ${rule}`),
    ),
  ]);
}

export interface InspectorOptions {
  readonly backend: Backend;
  /** The version of iptables. */
  readonly version: () => Promise<string>;
  readonly run: RunCommand;
  /** Whether a program is found on the PATH. */
  readonly isThere: (program: string) => boolean;
  readonly lists: RecentLists;
  readonly kernelLists: KernelLists;
  readonly counts: CountWatch;
}

export function createInspector(options: InspectorOptions): Inspector {
  const { backend, version, run, isThere, lists, kernelLists, counts } = options;
  return {
    facts: async () => {
      const reading = await kernelLists.read(false);
      return {
        backend,
        version: await version(),
        otherBackendInUse: await otherBackendInUse(backend, run),
        withoutSets: kernelLists.withoutSets(),
        missingPrograms: severingPrograms.filter((program) => !isThere(program)),
        lists: readFill(lists, reading.sets),
        countsForgottenAt: counts.forgottenAt(),
      };
    },
    recentLists: () => readRecentLists(lists),
    recentList: (name) => readRecentList(lists, name, kernelLists.wallTimeOf),
  };
}

/** The programs that end connections. */
const severingPrograms = ["conntrack", "ss"] as const;

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

function aboveJump(input: readonly string[]): readonly string[] {
  const jump = input.findIndex((rule) => isOwnJump(rule));
  return jump < 0 ? input : input.slice(0, jump);
}
