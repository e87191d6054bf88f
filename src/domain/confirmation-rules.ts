import type { Confirmation } from "./confirmation.ts";
import { DomainError } from "./errors.ts";
import type { Policy } from "./policy.ts";
import type { DesiredState, StateChange } from "./ports.ts";

/** How long, in milliseconds, a reverted change is remembered. */
const memory = 86_400_000;

/** Those that wait, the next to be reverted first. */
export function waiting(state: Pick<DesiredState, "confirmations">): readonly Confirmation[] {
  return state.confirmations().filter(({ revertedAt }) => revertedAt === null);
}

/**
 * The one that waits under `id`. `now` in milliseconds since the epoch.
 * @throws {DomainError} `not-found`, `gone`
 */
export function waitingConfirmation(state: Pick<DesiredState, "confirmation">, id: string): Confirmation {
  const confirmation = state.confirmation(id);
  if (confirmation === undefined)
    throw new DomainError("not-found", `No change waits for the confirmation ${id}; it may have been confirmed already.`);
  const { policy, revertedAt } = confirmation;
  if (revertedAt === null) return confirmation;
  throw new DomainError(
    "gone",
    `The change of the policy ${policy} was undone at ${new Date(revertedAt).toISOString()}. Make it again to keep it.`,
  );
}

/** @throws {DomainError} `gone` from the deadline on, although the revert may still be on its way */
export function assertInTime({ policy, revertsAt }: Confirmation, now: number): void {
  if (now < revertsAt) return;
  throw new DomainError(
    "gone",
    `The time to confirm the change of the policy ${policy} was over at ${new Date(revertsAt).toISOString()}, and it is undone. Make it again to keep it.`,
  );
}

/** Puts back what stood there before the change, as a new revision; returns it. `now` in milliseconds since the epoch. */
export function revertChange(change: StateChange, confirmation: Confirmation, now: number): Policy | null {
  const { policy: name, previous } = confirmation;
  change.putConfirmation({ ...confirmation, revertedAt: now });
  if (previous === null) {
    change.deletePolicy(name);
    return null;
  }
  const revision = Math.max(previous.revision, change.policy(name)?.revision ?? 0) + 1;
  const restored: Policy = { ...previous, revision, updatedAt: now };
  change.putPolicy(restored);
  return restored;
}

/** Forgets changes that were reverted long ago. `now` in milliseconds since the epoch. */
export function pruneConfirmations(change: StateChange, now: number): void {
  for (const { id, revertedAt } of change.confirmations()) {
    if (revertedAt !== null && revertedAt + memory <= now) change.deleteConfirmation(id);
  }
}
