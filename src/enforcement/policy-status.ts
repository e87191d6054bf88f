import type { Enforcement, Policy } from "../domain/policy.ts";

/** Remembers which policies the kernel was last seen to hold, and since when. */
export interface PolicyStatus {
  /** The pass at `now` (milliseconds since the epoch) found or made the kernel hold exactly these. */
  confirmed(policies: readonly Policy[], now: number): void;
  of(policy: Policy, lastFailure: string | null): Enforcement;
}

export function createPolicyStatus(): PolicyStatus {
  let held = new Map<string, { readonly policy: Policy; readonly since: number }>();
  return {
    confirmed: (policies, now) => {
      held = new Map(
        policies.map((policy) => {
          const before = held.get(policy.name);
          const since = before && isSame(before.policy, policy) ? before.since : now;
          return [policy.name, { policy, since }];
        }),
      );
    },
    of: (policy, lastFailure) => {
      const entry = held.get(policy.name);
      if (lastFailure !== null || !entry || !isSame(entry.policy, policy)) {
        return { state: "pending", message: lastFailure ?? "waiting for the next pass over the kernel's rules" };
      }
      return policy.mode === "off" ? { state: "off" } : { state: "enforced", since: entry.since };
    },
  };
}

function isSame(a: Policy, b: Policy): boolean {
  return a.revision === b.revision && a.createdAt === b.createdAt;
}
