import type { AuditAction, AuditEntry, AuditFilter, AuditNote, AuditPage } from "./audit.ts";
import type { Caller } from "./caller.ts";
import { DomainError, type DomainErrorCode } from "./errors.ts";
import type { Clock, Store } from "./ports.ts";

/** A write that is refused, as it is noted. */
export type Refusal = Pick<AuditNote, "actor" | "address" | "requestId" | "action" | "resource" | "problem" | "detail">;

/** What somebody asks for. */
export interface Attempt {
  readonly caller: Caller;
  readonly action: AuditAction;
  readonly resource: string | null;
}

/** Who did what. Changes are noted by those who make them, in the same transaction; here are the refusals and the look at it all. */
export interface AuditService {
  /** Newest first. What was refused before is in it. */
  list(filter: AuditFilter, page: AuditPage): Promise<readonly AuditEntry[]>;
  /** Notes a refusal, in a transaction of its own that nobody waits for. Beyond some a minute they are let go. */
  refused(refusal: Refusal): void;
  /** Does `work` and notes its refusal, if that is one worth to be noted. */
  watch<T>(attempt: Attempt, work: () => Promise<T>): Promise<T>;
}

export interface AuditServiceOptions {
  readonly store: Pick<Store, "transact" | "auditEntries">;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  /** Told when a refusal could not be stored. */
  readonly onLoss?: (error: unknown) => void;
}

/** Refusals that are noted in `span` milliseconds, of callers that are known and of others: neither drown the other. */
const maxRefusals = 60;
const span = 60_000;

/** What was refused for a reason that somebody may ask about later; bad input and lost races are not. */
const noted: ReadonlySet<DomainErrorCode> = new Set(["lockout", "kernel-refused", "insufficient-scope", "no-room"]);

/** Characters of a detail; a batch can be refused for thousands of reasons. */
const maxDetail = 500;

export function createAuditService({ store, clock, onLoss = () => undefined }: AuditServiceOptions): AuditService {
  const [ofKnown, ofOthers] = [createBudget(clock), createBudget(clock)];
  let writing: Promise<void> = Promise.resolve();

  async function write(note: AuditNote): Promise<void> {
    try {
      await store.transact((change) => change.audit(note));
    } catch (error) {
      onLoss(error);
    }
  }

  function refused(refusal: Refusal): void {
    const budget = refusal.actor === null ? ofOthers : ofKnown;
    if (!budget()) return;
    const detail = refusal.detail?.slice(0, maxDetail) ?? null;
    const written = write({ ...refusal, detail, at: clock.now(), outcome: "refused", before: null, after: null });
    writing = Promise.all([writing, written]).then(() => undefined);
  }

  return {
    refused,
    async list(filter, page) {
      await writing;
      return store.auditEntries(filter, page);
    },
    async watch({ caller, action, resource }, work) {
      try {
        return await work();
      } catch (error) {
        if (error instanceof DomainError && noted.has(error.code)) {
          const { actor, address, requestId } = caller;
          refused({ actor, address, requestId, action, resource, problem: error.code, detail: error.message });
        }
        throw error;
      }
    },
  };
}

/** True as long as there is something left of it. */
function createBudget(clock: Pick<Clock, "monotonic">): () => boolean {
  let used = 0;
  let endsAt = Number.NEGATIVE_INFINITY;
  return () => {
    const now = clock.monotonic();
    if (now >= endsAt) {
      used = 0;
      endsAt = now + span;
    }
    used += 1;
    return used <= maxRefusals;
  };
}
