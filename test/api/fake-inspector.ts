import type { PassHistory, Repair } from "../../src/api/status/representation.ts";
import type { Inspector, KernelFacts, RecentList } from "../../src/domain/inspection.ts";

/** An inspector of a kernel in memory. */
export interface FakeInspector extends Inspector {
  /** The names that `recentList` was asked for, oldest first. */
  readonly asked: readonly string[];
  setFacts(different: Partial<KernelFacts>): void;
  setRecentLists(lists: readonly RecentList[]): void;
  /** Makes every call fail with `error`. */
  fail(error: Error): void;
}

/** Nothing wrong: nft, ipsets, no list. */
export const soundFacts: KernelFacts = {
  backend: "nft",
  version: "1.8.9",
  otherBackendInUse: false,
  withoutSets: null,
  missingPrograms: [],
  lists: [],
  countsForgottenAt: null,
};

export function createFakeInspector(): FakeInspector {
  const asked: string[] = [];
  let facts = soundFacts;
  let lists: readonly RecentList[] = [];
  let failure: Error | undefined;

  function assertReadable(): void {
    if (failure !== undefined) throw failure;
  }

  return {
    asked,
    setFacts(different) {
      facts = { ...facts, ...different };
    },
    setRecentLists(value) {
      lists = value;
    },
    fail(error) {
      failure = error;
    },
    async facts() {
      assertReadable();
      return facts;
    },
    recentLists() {
      assertReadable();
      return lists.map(({ entries, ...list }) => ({ ...list, entries: entries.length }));
    },
    recentList(name) {
      asked.push(name);
      assertReadable();
      return lists.find((list) => list.name === name);
    },
  };
}

/** A history that is what a test says. */
export interface FakePassHistory extends PassHistory {
  set(lastPassAt: number, repairs: readonly Repair[]): void;
}

export function createFakePassHistory(): FakePassHistory {
  let last: number | null = null;
  let latest: readonly Repair[] = [];
  return {
    set(lastPassAt, repairs) {
      last = lastPassAt;
      latest = repairs;
    },
    lastPassAt: () => last,
    repairs: () => ({ count: latest.length, latest }),
  };
}
