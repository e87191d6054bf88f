import { changedNote, policyContent, policyResource, serviceCaller, timeOf } from "./audit.ts";
import type { Caller } from "./caller.ts";
import type { Confirmation } from "./confirmation.ts";
import { assertInTime, pruneConfirmations, revertChange, waiting, waitingConfirmation } from "./confirmation-rules.ts";
import { DomainError } from "./errors.ts";
import type { Policy } from "./policy.ts";
import type { Clock, Enforcer, StateChange, Store } from "./ports.ts";
import type { ConfirmationService } from "./services.ts";

export interface ConfirmationServiceOptions {
  readonly store: Store;
  readonly enforcer: Pick<Enforcer, "settle">;
  readonly clock: Clock;
}

export function createConfirmationService({ store, enforcer, clock }: ConfirmationServiceOptions): ConfirmationService {
  /** What comes back stood there before: that the kernel refuses it now is no reason to keep the change. */
  async function settle(): Promise<boolean> {
    try {
      return await enforcer.settle("rules");
    } catch (error) {
      if (error instanceof DomainError && error.code === "kernel-refused") return false;
      throw error;
    }
  }

  function revertAs(caller: Caller, change: StateChange, confirmation: Confirmation, now: number): Policy | null {
    const { policy } = confirmation;
    const before = policyContent(change.policy(policy));
    const restored = revertChange(change, confirmation, now);
    const after = policyContent(restored);
    const note = { action: "confirmation.revert", resource: policyResource(policy), before, after } as const;
    change.audit(changedNote(caller, now, note));
    return restored;
  }

  return {
    list: () => waiting(store),
    confirm: (id, { caller }) =>
      store.transact((change) => {
        const confirmation = waitingConfirmation(change, id);
        const now = clock.now();
        assertInTime(confirmation, now);
        change.deleteConfirmation(id);
        const { policy, actor, revertsAt } = confirmation;
        const before = { id, actor, revertsAt: timeOf(revertsAt) };
        const note = { action: "confirmation.confirm", resource: policyResource(policy), before, after: null } as const;
        change.audit(changedNote(caller, now, note));
        return confirmation;
      }),
    async revert(id, { caller }) {
      const reverted = await store.transact((change) => {
        const confirmation = waitingConfirmation(change, id);
        return { confirmation, resource: revertAs(caller, change, confirmation, clock.now()) };
      });
      return { ...reverted, enforced: await settle() };
    },
    nextDeadline: () => waiting(store)[0]?.revertsAt ?? null,
    async revertDue(now) {
      if (!waiting(store).some(({ revertsAt }) => revertsAt <= now)) return;
      await store.transact((change) => {
        const due = waiting(change).filter(({ revertsAt }) => revertsAt <= now);
        for (const confirmation of due) revertAs(serviceCaller, change, confirmation, now);
        pruneConfirmations(change, now);
      });
      await settle();
    },
  };
}
