import type { Ban } from "./ban.ts";
import type { Caller } from "./caller.ts";
import type { Policy } from "./policy.ts";
import { specOf } from "./policy-change.ts";

/** What somebody did, or tried. `authenticate` and `authorize` are refusals at the door, before it was clear what they wanted. */
export const auditActions = [
  "policy.put",
  "policy.delete",
  "confirmation.confirm",
  "confirmation.revert",
  "ban.put",
  "ban.delete",
  "ban.batch",
  "token.create",
  "token.delete",
  "authenticate",
  "authorize",
] as const;

export type AuditAction = (typeof auditActions)[number];

/** `taken-back`: it was stored, and undone when the kernel refused it. */
export const auditOutcomes = ["changed", "refused", "taken-back"] as const;

export type AuditOutcome = (typeof auditOutcomes)[number];

/** What a resource was, as JSON. */
export type AuditContent = Readonly<Record<string, unknown>>;

/** What was changed, and how. */
export interface AuditedChange {
  readonly action: AuditAction;
  /** Such as `policies/mysql`; `null` where there is none. */
  readonly resource: string | null;
  /** `null`: it did not exist. */
  readonly before: AuditContent | null;
  readonly after: AuditContent | null;
}

/** What is written down of a change or a refusal. Never a secret. */
export interface AuditNote extends AuditedChange {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** As that of a caller, `service` for what it did by itself; `null`: nobody who is known. */
  readonly actor: string | null;
  readonly address: string | null;
  readonly requestId: string | null;
  readonly outcome: AuditOutcome;
  /** The code of what refused it; `null` where nothing did. */
  readonly problem: string | null;
  /** Why, as a sentence. */
  readonly detail: string | null;
}

/** A note as it is kept. */
export interface AuditEntry extends AuditNote {
  /** Grows with each entry. */
  readonly id: number;
  /** The store's revision before the transaction and when this was noted; the same for what changed nothing. */
  readonly revisionBefore: number;
  readonly revisionAfter: number;
}

/** What narrows the audit; all of it has to hold. Times are milliseconds since the epoch. */
export interface AuditFilter {
  readonly actor?: string;
  readonly action?: AuditAction;
  readonly resource?: string;
  readonly outcome?: AuditOutcome;
  /** Not before. */
  readonly since?: number;
  /** Before. */
  readonly until?: number;
}

/** A part of the audit: at most `limit` entries that are older than the one with the id `before`. */
export interface AuditPage {
  readonly before?: number;
  readonly limit: number;
}

/** Who acts when nobody asks. */
export const serviceCaller: Caller = { actor: "service", address: null, admin: true, requestId: null };

/** The note of a change that was made. @param now milliseconds since the epoch */
export function changedNote({ actor, address, requestId }: Caller, now: number, change: AuditedChange): AuditNote {
  return { ...change, at: now, actor, address, requestId, outcome: "changed", problem: null, detail: null };
}

export function policyResource(name: string): string {
  return `policies/${name}`;
}

export function banResource(address: string): string {
  return `bans/${address}`;
}

/** What is noted of a policy. */
export function policyContent(policy: Policy | null | undefined): AuditContent | null {
  return policy ? { ...specOf(policy), revision: policy.revision } : null;
}

/** What is noted of a ban. */
export function banContent(ban: Ban | undefined): AuditContent | null {
  if (ban === undefined) return null;
  const causes = ban.causes.map((cause) => ({ ...cause, since: timeOf(cause.since), expiresAt: timeOf(cause.expiresAt) }));
  return { expiresAt: timeOf(ban.expiresAt), causes };
}

/** RFC 3339; `null` for no time. */
export function timeOf(milliseconds: number | null): string | null {
  return milliseconds === null ? null : new Date(milliseconds).toISOString();
}
