import { assertInTime, pruneConfirmations, revertChange, waiting, waitingConfirmation } from "./confirmation-rules.ts";
import { DomainError } from "./errors.ts";
import type { Clock, Enforcer, Store } from "./ports.ts";
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

  return {
    list: () => waiting(store),
    confirm: (id) =>
      store.transact((change) => {
        const confirmation = waitingConfirmation(change, id);
        assertInTime(confirmation, clock.now());
        change.deleteConfirmation(id);
        return confirmation;
      }),
    async revert(id) {
      const reverted = await store.transact((change) => {
        const confirmation = waitingConfirmation(change, id);
        return { confirmation, resource: revertChange(change, confirmation, clock.now()) };
      });
      return { ...reverted, enforced: await settle() };
    },
    nextDeadline: () => waiting(store)[0]?.revertsAt ?? null,
    async revertDue(now) {
      if (!waiting(store).some(({ revertsAt }) => revertsAt <= now)) return;
      await store.transact((change) => {
        for (const confirmation of waiting(change)) if (confirmation.revertsAt <= now) revertChange(change, confirmation, now);
        pruneConfirmations(change, now);
      });
      await settle();
    },
  };
}
