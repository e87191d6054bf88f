import type { Foresight } from "./foresight.ts";
import type { MeasuredImpact } from "./impact.ts";
import { kernelAnswer } from "./kernel-answer.ts";
import type { Desired, Enforcer, Firewall } from "./ports.ts";

/** What is known of a write before the kernel is asked what it would come to. */
export interface Rehearsal<Result> {
  readonly changed: boolean;
  readonly created: boolean;
  readonly result: Result;
  /** What would be wanted of the kernel afterwards. */
  readonly desired: Desired;
  readonly measured: MeasuredImpact;
  readonly warnings: readonly string[];
}

/** Completes a rehearsal. @throws {DomainError} `not-ready` while the kernel can't be read */
export async function forecast<Result>(
  { changed, created, result, desired, measured, warnings }: Rehearsal<Result>,
  { firewall, enforcer }: { readonly firewall: Pick<Firewall, "plan">; readonly enforcer: Pick<Enforcer, "failure"> },
): Promise<Foresight<Result>> {
  const plan = await kernelAnswer(firewall.plan(desired));
  return {
    changed,
    created,
    result,
    plan,
    impact: measured.impact,
    warnings: [...warnings, ...measured.warnings, ...outOfStep(enforcer)],
  };
}

function outOfStep(enforcer: Pick<Enforcer, "failure">): readonly string[] {
  const failure = enforcer.failure();
  if (failure === null) return [];
  return [`The kernel is not in step now (${failure}): the write would be stored, and reach the kernel once that is over.`];
}
