import { type AuditedChange, type AuditNote, changedNote, policyContent, policyResource, timeOf } from "./audit.ts";
import { DomainError } from "./errors.ts";
import type { PolicyAsked, PolicyChange } from "./policy-change.ts";

/** What is noted of a change of a policy. */
export function policyChangeOf({ action }: PolicyAsked, { name, previous, policy, confirmation }: PolicyChange): AuditedChange {
  const after = policyContent(policy);
  const armed = confirmation && { confirmation: { id: confirmation.id, revertsAt: timeOf(confirmation.revertsAt) } };
  return {
    action,
    resource: policyResource(name),
    before: policyContent(previous),
    after: armed === null ? after : { ...after, ...armed },
  };
}

/** What is noted when it was undone, as the kernel refused it. @param now milliseconds since the epoch */
export function takenBackNote(
  asked: PolicyAsked,
  { name, previous, policy }: PolicyChange,
  error: unknown,
  now: number,
): AuditNote {
  const undone = {
    action: asked.action,
    resource: policyResource(name),
    before: policyContent(policy),
    after: policyContent(previous),
  };
  return {
    ...changedNote(asked.terms.caller, now, undone),
    outcome: "taken-back",
    problem: error instanceof DomainError ? error.code : "internal",
    detail: error instanceof Error ? error.message.slice(0, 500) : null,
  };
}
