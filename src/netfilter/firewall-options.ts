import type { Network } from "../domain/network.ts";
import type { Clock } from "../domain/ports.ts";
import type { RunCommand } from "./command/run.ts";
import type { ComposedRules } from "./composed-rules.ts";
import type { IpSets } from "./ipset/sets.ts";
import type { Backend } from "./iptables/backend.ts";
import type { Generation } from "./iptables/generation.ts";
import type { TableSessions } from "./iptables/tables.ts";
import type { KeptListings } from "./kept-listings.ts";
import type { RecentLists } from "./recent/list-files.ts";

export interface NetfilterOptions {
  readonly backend: Backend;
  /** The version of iptables. */
  readonly version: () => Promise<string>;
  readonly protectedNetworks: readonly Network[];
  readonly run: RunCommand;
  /** Whether a program is found on the PATH. */
  readonly isThere: (program: string) => boolean;
  /** Without it, each change of a table starts a program. */
  readonly sessions?: TableSessions;
  readonly lists: RecentLists;
  readonly sets: IpSets;
  /** Without it, each start composes all rules. */
  readonly composed?: ComposedRules;
  /** On the nft backend; without it, each look lists all rules. */
  readonly generation?: Generation;
  /** Without it, each start lists all rules. */
  readonly listings?: KeptListings;
  readonly clock: Clock;
  /** Called when programs have something to do that takes them a tenth of a second or more. */
  readonly onLongWait?: () => void;
}
