import type { AuditEntry, AuditFilter, AuditNote, AuditPage } from "./audit.ts";
import type { Grace, KernelBan, OperatorBan } from "./ban.ts";
import type { Confirmation } from "./confirmation.ts";
import type { Network } from "./network.ts";
import type { Enforcement, Offender, Policy } from "./policy.ts";
import type { Token } from "./token.ts";

/** Time, injectable so that no test sleeps. */
export interface Clock {
  /** Wall-clock time in milliseconds since the epoch. */
  now(): number;
  /** Time in milliseconds that never jumps (CLOCK_MONOTONIC). */
  monotonic(): number;
  /** Calls back once after `delay` milliseconds; the result cancels it. */
  after(delay: number, callback: () => void): () => void;
}

/** Reads of the stored state; each sees the last committed change. */
export interface DesiredState {
  /** Grows with every committed change. */
  revision(): number;
  policy(name: string): Policy | undefined;
  /** Sorted by name. */
  policies(): readonly Policy[];
  operatorBan(address: string): OperatorBan | undefined;
  /** All of them, expired ones included until they are removed. */
  operatorBans(): readonly OperatorBan[];
  /** How many those are; cheap. */
  operatorBanCount(): number;
  /** Bans that the kernel made by itself, as they were last seen; so that they can be put back. */
  kernelBans(): readonly KernelBan[];
  /** Addresses whose kernel-made bans were lifted over the API, until a pass has done so. */
  lifts(): readonly string[];
  grace(address: string): Grace | undefined;
  /** All of them, ended ones included until they are removed. */
  graces(): readonly Grace[];
  confirmation(id: string): Confirmation | undefined;
  /** All of them, reverted ones included until they are removed. */
  confirmations(): readonly Confirmation[];
  token(name: string): Token | undefined;
  /** Sorted by name; expired ones included until they are removed. */
  tokens(): readonly Token[];
}

/** Changes inside one transaction. Each put or delete moves `revision` on. */
export interface StateChange extends DesiredState {
  putPolicy(policy: Policy): void;
  /** True when there was one. */
  deletePolicy(name: string): boolean;
  putOperatorBan(ban: OperatorBan): void;
  /** True when there was one. */
  deleteOperatorBan(address: string): boolean;
  /** One for each home and address. */
  putKernelBan(ban: KernelBan): void;
  /** True when there was one. */
  deleteKernelBan(home: string, address: string): boolean;
  putLift(address: string): void;
  /** True when there was one. */
  deleteLift(address: string): boolean;
  putGrace(grace: Grace): void;
  /** True when there was one. */
  deleteGrace(address: string): boolean;
  putConfirmation(confirmation: Confirmation): void;
  /** True when there was one. */
  deleteConfirmation(id: string): boolean;
  putToken(token: Token): void;
  /** True when there was one. */
  deleteToken(name: string): boolean;
  /** Writes down what this transaction did, after it did so, with the revisions; moves none on. */
  audit(note: AuditNote): void;
}

/** The durable truth. */
export interface Store extends DesiredState {
  /**
   * Runs `work` in a transaction and resolves with its result once it is fsynced. When `work` throws, nothing of it is kept and
   * the error is passed on. Changes that wait at the same time share one commit.
   * @throws {DomainError} `store-unwritable` when the disk does not take it; nothing is kept then
   */
  transact<T>(work: (change: StateChange) => T): Promise<T>;
  /** Committed notes, newest first. */
  auditEntries(filter: AuditFilter, page: AuditPage): readonly AuditEntry[];
  /** Why the disk did not take the last commit, as a sentence; null when it did. */
  failure(): string | null;
  /** Finds out whether that still holds, by a commit of nothing but the revision, where the last one failed or there is hardly any room left. */
  probe(): Promise<void>;
  close(): void;
}

/** What one pass is to bring about. */
export interface Desired {
  readonly policies: readonly Policy[];
  /** All that run. */
  readonly operatorBans: readonly OperatorBan[];
  /**
   * Those addresses among them which were asked for since the last pass, each with its ban if it is to have one. A pass over bans alone
   * looks at no others then; without it, at all.
   */
  readonly touched?: ReadonlyMap<string, OperatorBan | undefined>;
  /** Addresses whose kernel-made bans are to be lifted by this pass. */
  readonly lifts: readonly string[];
  readonly graces: readonly Grace[];
  /** Names of policies whose limits are left out of the rules because the kernel refuses them; what they banned stays banned. */
  readonly withheld?: ReadonlySet<string>;
}

/** All that a pass would send to the kernel, to the letter. */
export interface WritePlan {
  /** Lines for `iptables-restore --noflush`. */
  readonly ipv4: readonly string[];
  /** Lines for `ip6tables-restore --noflush`. */
  readonly ipv6: readonly string[];
  /** Commands for lists of xt_recent, one write each. */
  readonly recent: readonly { readonly list: string; readonly write: string }[];
  /** Lines for `ipset restore`. */
  readonly ipset: readonly string[];
}

/** What a pass found and did. */
export interface PassReport {
  /** How many lines of restore text and list entries were written. */
  readonly writes: number;
  /** What was found different from the last pass's outcome, in words; empty when only the asked change was made. */
  readonly found: readonly string[];
  /** Every running ban that the kernel made by itself. */
  readonly kernelBans: readonly KernelBan[];
  /** True when the end of some ban is known to a second only; a look soon makes it precise. */
  readonly imprecise: boolean;
  /** The next end, in milliseconds since the epoch, of a ban that the kernel does not end by itself; null when there is none. */
  readonly nextEnd: number | null;
}

/** A ban that the kernel made by itself, and whether the kernel still holds it. */
export interface ViewedBan extends KernelBan {
  readonly enforced: boolean;
}

/** What the kernel holds now. */
export interface KernelView {
  /** Addresses and networks of operator bans that the kernel refuses now. */
  readonly operatorBans: Pick<ReadonlySet<string>, "has">;
  readonly policyBans: readonly ViewedBan[];
  /** Sources seen over the limit of the named policy, newest first. */
  offenders(policy: string): readonly Offender[];
}

/** What the kernel has room for. */
export interface BanRoom {
  /** Operator bans of one family. */
  readonly capacity: number;
  /** Whether networks can be banned too. */
  readonly networks: boolean;
  /** How to make room, or to be able to ban networks, as a sentence. */
  readonly remedy: string;
}

/** What a glance at the lists tells, without starting a program. */
export interface Glance {
  /** Lists that our rules keep alive are gone: somebody flushed the rules. */
  readonly flushed: boolean;
  /** A packet went over some limit since the lists of bans were last read. */
  readonly activity: boolean;
}

/** Where our rules stand among those of others. */
export interface Position {
  /** Rules of others that see a packet before ours do and could decide on it, as iptables-save prints them, in the order in which they are asked. */
  readonly shadowedBy: readonly string[];
  /** Our own rules are there as they have to be, the jump to them on top. */
  readonly inPlace: boolean;
}

/**
 * How much of the rules a pass reads: all of them; or, as thousands take a second, those that a change concerns, while the rules of other
 * policies are taken to be as the last pass left them.
 */
export type PassExtent = "whole" | "changes";

/** The kernel's side. Errors: `DomainError` `kernel-refused` when netfilter says no, `EnforcementDelayed` when it can't answer now. */
export interface Firewall {
  /** Takes over the kernel-made bans that an earlier process had seen, so that those that were lost meanwhile come back. */
  recall(bans: readonly KernelBan[]): void;
  /** Asks the kernel whether it would accept `desired`, changing nothing; an answer that takes longer than 600 ms is delayed. */
  check(desired: Desired): Promise<void>;
  /** What `converge` would send for `desired` now; changes nothing. */
  plan(desired: Desired): Promise<WritePlan>;
  /** Makes the kernel hold `desired`: reads, compares, writes the difference. @param extent "whole" by default */
  converge(desired: Desired, extent?: PassExtent): Promise<PassReport>;
  /**
   * The same for ban-list entries alone, without looking at the rules; cheap. Falls back to the whole pass when a list is missing.
   * @param fresh read the sets anew although nothing says that they have changed
   */
  convergeBans(desired: Desired, fresh: boolean): Promise<PassReport>;
  /** A few microseconds' look. */
  glance(): Glance;
  /** Reads what the kernel holds now; an answer that takes longer than `within` milliseconds, by default 5000, is delayed. */
  view(within?: number): Promise<KernelView>;
  banRoom(): BanRoom;
  position(): Promise<Position>;
  /** When a change of the table made the kernel forget how many connections each source has; null when it did not, as far as was seen. Milliseconds since the epoch. */
  countsForgottenAt(): number | null;
}

/** The open TCP connections to this host's own ports, from connection tracking. Both reject with `EnforcementDelayed` when it can't be read or changed now. */
export interface Connections {
  /**
   * Streams them: `source` is the canonical address that opened the connection, `port` this host's, after any address translation.
   * @param within only those from there, which is cheaper
   */
  scan(visit: (source: string, port: number) => void, within?: Network): Promise<void>;
  /** Ends those of these addresses and networks, connection tracking entry and local socket; resolves with how many there were. */
  sever(networks: readonly string[]): Promise<number>;
}

/** Who must not be shut out of this host. Addresses are canonical. */
export interface HostAccess {
  /** Next hops of the default routes. */
  readonly gateways: readonly string[];
  readonly ownAddresses: readonly string[];
  /** Addresses with an open SSH connection to this host. */
  readonly sshClients: readonly string[];
  /** The ports on which this host takes SSH connections. */
  readonly sshPorts: readonly number[];
}

/** Those who ask at the same time get the same answer. */
export interface Surroundings {
  /** As it is now. @throws {EnforcementDelayed} while that can't be read */
  look(): Promise<HostAccess>;
  /** The same, and perhaps SSH clients whose connection has just ended: much cheaper. @throws {EnforcementDelayed} */
  recentLook(): Promise<HostAccess>;
}

/** Raised by the firewall when the kernel can't be reached now (a lock, a missing program, a timeout); the change stays wanted. */
export class EnforcementDelayed extends Error {
  override readonly name = "EnforcementDelayed";
}

/** Asks for passes and tells what came of them. */
export interface Enforcer {
  /**
   * Waits for a pass that covers the store's present revision, until 1.7 s after `since` (of the monotonic clock, by default now);
   * false when it is not in the kernel by then.
   * @param touched for scope `bans`: the addresses that the change was about; without them, the pass looks at all bans
   * @throws {DomainError} `kernel-refused` for scope `rules`, when the kernel says no to the rules as they are stored now
   */
  settle(scope: "rules" | "bans", since?: number, touched?: readonly string[]): Promise<boolean>;
  /** What the last pass says about this policy. */
  enforcementOf(policy: Policy): Enforcement;
  /** True while the last look at the rules found them in step. */
  inStep(): boolean;
  /** Null while the kernel is in step with the store, otherwise why it is not. */
  failure(): string | null;
}
