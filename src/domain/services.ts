import type { Ban, BanCause } from "./ban.ts";
import type { PolicyWriteTerms, WriteTerms } from "./caller.ts";
import type { Confirmation } from "./confirmation.ts";
import type { Foresight } from "./foresight.ts";
import type { JudgedOffender, Policy, PolicySpec } from "./policy.ts";
import type { Preconditions } from "./preconditions.ts";

/** What became of a write. */
export interface WriteOutcome<Resource> {
  readonly resource: Resource;
  readonly created: boolean;
  /** False when the write asked for what was there already. */
  readonly changed: boolean;
  /** True once the kernel holds it; false while it is stored and still on its way. */
  readonly enforced: boolean;
}

/** What became of a removal. */
export interface RemovalOutcome {
  readonly enforced: boolean;
}

/** What became of a policy's write. */
export interface PolicyOutcome extends WriteOutcome<Policy> {
  /** What takes the change back unless it is confirmed; `null` where nobody asked for it or nothing changed. */
  readonly confirmation: Confirmation | null;
}

export interface PolicyRemovalOutcome extends RemovalOutcome {
  readonly confirmation: Confirmation | null;
}

/**
 * Each refuses what the write would refuse, with the same error, and stores and changes nothing.
 * @throws {DomainError} `not-ready` too, while plan or impact can't be told
 */
export interface PolicyForesight {
  create(name: string, spec: PolicySpec, terms: PolicyWriteTerms): Promise<Foresight<Policy>>;
  put(name: string, spec: PolicySpec, conditions: Preconditions, terms: PolicyWriteTerms): Promise<Foresight<Policy>>;
  edit(name: string, edit: PolicyEdit, conditions: Preconditions, terms: PolicyWriteTerms): Promise<Foresight<Policy>>;
  remove(name: string, conditions: Preconditions, terms: PolicyWriteTerms): Promise<Foresight<null>>;
}

export type PolicyEdit = (current: PolicySpec) => PolicySpec;

/**
 * Every write: @throws {DomainError} `unconfirmed` while an earlier change of the policy waits for its confirmation, `insufficient-scope` for
 * `allowLockout` without `admin`.
 */
export interface PolicyService {
  /** Sorted by name. */
  list(): readonly Policy[];
  /** @throws {DomainError} `not-found` */
  get(name: string): Policy;
  /** @throws {DomainError} `already-exists`, `lockout`, `kernel-refused`, `not-ready`, `invalid-input` */
  create(name: string, spec: PolicySpec, terms: PolicyWriteTerms): Promise<PolicyOutcome>;
  /** Creates or replaces. @throws {DomainError} `precondition-failed`, `lockout`, `kernel-refused`, `not-ready`, `invalid-input` */
  put(name: string, spec: PolicySpec, conditions: Preconditions, terms: PolicyWriteTerms): Promise<PolicyOutcome>;
  /** Replaces by what `edit` makes of the present one. @throws {DomainError} as `put`, and `not-found` */
  edit(name: string, edit: PolicyEdit, conditions: Preconditions, terms: PolicyWriteTerms): Promise<PolicyOutcome>;
  /** @throws {DomainError} `not-found`, `precondition-failed`, `invalid-input` */
  remove(name: string, conditions: Preconditions, terms: PolicyWriteTerms): Promise<PolicyRemovalOutcome>;
  /** What each write would do. */
  readonly foresee: PolicyForesight;
  /** Sources seen over the limit, newest first. @throws {DomainError} `not-found`, `not-ready` */
  offenders(name: string): Promise<readonly JudgedOffender[]>;
}

/** What became of a revert. */
export interface RevertOutcome {
  readonly confirmation: Confirmation;
  /** What stands there again; `null`: nothing. */
  readonly resource: Policy | null;
  /** True once the kernel holds it; false while it is stored and still on its way. */
  readonly enforced: boolean;
}

/** The changes of policies that are undone unless they are confirmed. Deadlines are stored: they hold over a restart. */
export interface ConfirmationService {
  /** Those that wait, the next to be reverted first. */
  list(): readonly Confirmation[];
  /** Keeps the change. @throws {DomainError} `not-found`, `gone` when its time is over or it was reverted */
  confirm(id: string, terms: Pick<WriteTerms, "caller">): Promise<Confirmation>;
  /** Undoes the change at once. @throws {DomainError} `not-found`, `gone` when it was reverted already */
  revert(id: string, terms: Pick<WriteTerms, "caller">): Promise<RevertOutcome>;
  /** The next deadline, in milliseconds since the epoch; in the past while what is due is not reverted. */
  nextDeadline(): number | null;
  /**
   * Undoes all changes whose time is over, in one transaction, and waits (bounded) for the kernel; so no pass may wait for it.
   * Rejects when the store can't take it: they stay due.
   * @param now milliseconds since the epoch
   */
  revertDue(now: number): Promise<void>;
}

/** What a caller asks of an operator's ban; `expiresAt` in milliseconds since the epoch, `null`: until removed. */
export interface BanRequest {
  readonly reason: string;
  readonly expiry: { readonly ttlSeconds: number } | { readonly expiresAt: number } | null;
  /** Whether the connections that are open now end too; unless it is said, they do. */
  readonly sever?: boolean;
}

/** One of many bans that are written at once. */
export interface BanItem extends BanRequest {
  readonly address: string;
}

/** Changes that are made together or not at all: up to `maxBatchItems` in both lists, each address once. */
export interface BanBatch {
  readonly put: readonly BanItem[];
  /** Addresses of which every cause is lifted. One that isn't banned is left as it is. */
  readonly delete: readonly string[];
}

export interface BanRemoval {
  /** How long from now, in seconds, no policy bans the address again; 1 to 31,536,000 (a year). */
  readonly graceSeconds?: number;
}

/** How many open connections a ban ended; `null` when it was not asked, or could not be done. */
export interface Severed {
  readonly severed: number | null;
}

export interface BanOutcome extends WriteOutcome<Ban>, Severed {}

/** How many items did what. */
export interface BatchCounts {
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  readonly unchanged: number;
}

/** The same, and whether the kernel holds all of it. */
export interface BatchOutcome extends BatchCounts, Severed {
  readonly enforced: boolean;
}

/** The part of the outcome of a ban's write that does not say what happened to it. */
export type WrittenBan = Pick<BanOutcome, "resource" | "severed">;

/**
 * Each refuses what the write would refuse, with the same error, and stores and changes nothing.
 * @throws {DomainError} `not-ready` too, while plan or impact can't be told
 */
export interface BanForesight {
  create(address: string, request: BanRequest, terms: WriteTerms): Promise<Foresight<WrittenBan>>;
  put(address: string, request: BanRequest, conditions: Preconditions, terms: WriteTerms): Promise<Foresight<WrittenBan>>;
  remove(address: string, conditions: Preconditions, terms: WriteTerms, removal?: BanRemoval): Promise<Foresight<null>>;
  batch(batch: BanBatch, terms: WriteTerms): Promise<Foresight<BatchCounts & Severed>>;
}

export interface BanFilter {
  readonly by?: BanCause["by"];
  readonly policy?: string;
  /** Bans that hit this address. */
  readonly covers?: string;
  /** Bans inside this network. */
  readonly within?: string;
}

/** A part of a list of bans. */
export interface BanPage {
  /** Only bans that come after this address, whether it is still banned or not. */
  readonly after?: string;
  /** At most so many. */
  readonly limit?: number;
}

/**
 * While the kernel can't be read, bans that it made are those that were seen last, and none is `enforced`.
 * Every write: @throws {DomainError} `insufficient-scope` for `allowLockout` without `admin`
 */
export interface BanService {
  /** Sorted by address (`compareNetworks`); all of them, or a page, which costs far less where there are many. @throws {DomainError} `invalid-input` */
  list(filter: BanFilter, page?: BanPage): Promise<readonly Ban[]>;
  /** @throws {DomainError} `not-found`, `invalid-input` */
  get(address: string): Promise<Ban>;
  /** POST. @throws {DomainError} `already-exists` where the operator's cause exists, and as `put` */
  create(address: string, request: BanRequest, terms: WriteTerms): Promise<BanOutcome>;
  /**
   * Sets the operator's cause and starts its time anew.
   * @throws {DomainError} `precondition-failed`, `no-room`, `network-unsupported`, `lockout`, `not-ready`, `invalid-input`
   */
  put(address: string, request: BanRequest, conditions: Preconditions, terms: WriteTerms): Promise<BanOutcome>;
  /** Lifts every cause, whoever made it. @throws {DomainError} `not-found`, `precondition-failed`, `invalid-input` */
  remove(address: string, conditions: Preconditions, terms: WriteTerms, removal?: BanRemoval): Promise<RemovalOutcome>;
  /**
   * Puts and removes many at once, all or nothing.
   * @throws {DomainError} `invalid-input`, `lockout`, `network-unsupported` with pointers to the items (`/put/17/address`, `/delete/3`); `no-room`, `not-ready`
   */
  batch(batch: BanBatch, terms: WriteTerms): Promise<BatchOutcome>;
  /** What each write would do. */
  readonly foresee: BanForesight;
}

/** What a new TCP connection from an address meets now: `limited` is refused by a policy's limit, `protected` is asked nothing. */
export type Verdict = "allowed" | "banned" | "limited" | "protected";

/** A policy as it concerns one address. */
export interface PolicyCheck {
  readonly name: string;
  readonly mode: "enforce" | "observe";
  readonly ports: readonly number[];
  readonly maxConnections: number;
  /** What the policy counts now for the address: of its whole counted prefix, without exempt and protected sources. */
  readonly openConnections: number;
  /** The next connection from the address exceeds the limit. */
  readonly overLimit: boolean;
  /** The policy never counts this address. */
  readonly exempt: boolean;
  /** The end of this policy's ban on the address, in milliseconds since the epoch. */
  readonly bannedUntil: number | null;
}

export interface Check {
  /** Canonical. */
  readonly address: string;
  readonly verdict: Verdict;
  /** Those that cover the address. */
  readonly bans: readonly Ban[];
  /** Sorted by name, without those that are off. */
  readonly policies: readonly PolicyCheck[];
  /** Until when no policy bans the address, in milliseconds since the epoch. */
  readonly grace: number | null;
  /** Rules of others that are asked before ours and could decide otherwise. */
  readonly shadowedBy: readonly string[];
  /** The kernel is in step with the store, so that the verdict is about all that is stored. */
  readonly enforced: boolean;
}

export interface SourceConnections {
  /** Canonical address. */
  readonly source: string;
  readonly connections: number;
}

/** Open connections per source, to choose a limit by. Percentiles are of the nearest rank. */
export interface Distribution {
  readonly sources: number;
  readonly connections: number;
  readonly max: number;
  readonly p99: number;
  readonly p50: number;
}

export interface OpenConnections {
  /** Most connections first, then by address. */
  readonly sources: readonly SourceConnections[];
  readonly distribution: Distribution;
}

/** A source that holds more connections than a policy allows, which is possible for those that were open before it. */
export interface SourceOverLimit extends SourceConnections {
  readonly policy: string;
  readonly maxConnections: number;
}

/** How full the kernel's room for operator bans of one family is. */
export interface BanFill {
  readonly operatorBans: number;
  readonly capacity: number;
}

/** The domain's part of the status. */
export interface DomainStatus {
  readonly inStep: boolean;
  /** Why the kernel is not in step. */
  readonly failure: string | null;
  readonly policies: { readonly enforce: number; readonly observe: number; readonly off: number };
  readonly bans: {
    readonly ipv4: BanFill;
    readonly ipv6: BanFill;
    /** Bans that policies made. */
    readonly policyBans: number;
    /** Bans that the kernel does not hold. */
    readonly notEnforced: number;
    readonly networks: boolean;
    /** How to make room, or to be able to ban networks. */
    readonly remedy: string;
  };
  readonly graces: number;
  readonly shadowedBy: readonly string[];
  /** By policy, most connections first. */
  readonly overLimit: readonly SourceOverLimit[];
}

export interface LookService {
  /** What would happen to a new connection from this address now. @throws {DomainError} `invalid-input`, `not-ready` */
  check(address: string): Promise<Check>;
  /** @throws {DomainError} `invalid-input`, `not-ready` */
  connections(filter: { readonly port?: number }): Promise<OpenConnections>;
  /** @throws {DomainError} `not-ready` */
  status(): Promise<DomainStatus>;
}
