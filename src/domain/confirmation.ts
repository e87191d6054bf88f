import type { Policy } from "./policy.ts";

/** A change of a policy that is undone unless somebody confirms it in time. Times are milliseconds since the epoch, of the wall clock. */
export interface Confirmation {
  /** 128 random bits, base64url. */
  readonly id: string;
  /** The policy's name. */
  readonly policy: string;
  /** What stood there before and comes back; `null`: there was none, so that the policy goes. */
  readonly previous: Policy | null;
  /** Who made the change. */
  readonly actor: string;
  readonly createdAt: number;
  readonly revertsAt: number;
  /** When the change was undone; `null` while it waits for its confirmation. Kept for a day, to tell those who confirm too late. */
  readonly revertedAt: number | null;
}

/** How long a change may wait for its confirmation, in seconds. */
export const confirmWithinLimits = { minimum: 10, maximum: 3600 } as const;

/** The order in which they are listed: the next to be reverted first. */
export function compareConfirmations(a: Confirmation, b: Confirmation): number {
  return a.revertsAt - b.revertsAt || (a.id < b.id ? -1 : 1);
}
