/** How full a list or set of this service is. */
export interface ListFill {
  readonly name: string;
  readonly kind: "xt_recent" | "ipset";
  readonly entries: number;
  readonly capacity: number;
}

/** An xt_recent list of this host, its own or somebody else's. */
export interface RecentListSummary {
  readonly name: string;
  /** Whether it is this service's. */
  readonly own: boolean;
  readonly entries: number;
  readonly capacity: number;
}

/** The same with its entries, the latest first. Times in milliseconds since the epoch. */
export interface RecentList extends Omit<RecentListSummary, "entries"> {
  readonly entries: readonly {
    readonly address: string;
    readonly lastSeenAt: number;
    /** The packets that the kernel remembers, oldest first. */
    readonly seenAt: readonly number[];
  }[];
}

/** What the kernel and its tools are, and what can be wrong with them. */
export interface KernelFacts {
  readonly backend: "nft" | "legacy";
  /** The version of iptables. */
  readonly version: string;
  /** The other backend has rules too, and packets meet both. */
  readonly otherBackendInUse: boolean;
  /** Why there are no ipsets, with the remedy; null where there are. */
  readonly withoutSets: string | null;
  /** Programs for ending connections that are not installed. */
  readonly missingPrograms: readonly string[];
  readonly lists: readonly ListFill[];
  /** When a change of the table made the kernel forget how many connections each source has; null when it did not, as far as was seen. */
  readonly countsForgottenAt: number | null;
}

/** Looks at the kernel without changing it. */
export interface Inspector {
  /** @throws {EnforcementDelayed} when a program fails */
  facts(): Promise<KernelFacts>;
  /** Sorted by name. */
  recentLists(): readonly RecentListSummary[];
  /** Undefined when there is no such list. @throws {EnforcementDelayed} while the kernel's clock can't be read */
  recentList(name: string): RecentList | undefined;
}
