import type { Static } from "typebox";
import type { Confirmation } from "../../domain/confirmation.ts";
import { formatTime } from "../fields.ts";
import type { ArmedConfirmationResource, ConfirmationResource } from "./schemas.ts";

/** What callers see of a confirmation. */
export function presentConfirmation(confirmation: Confirmation): Static<typeof ConfirmationResource> {
  const { id, policy, actor, createdAt, revertsAt } = confirmation;
  return { id, policy, actor, createdAt: formatTime(createdAt), revertsAt: formatTime(revertsAt) };
}

/** The part of a write's body that says what takes the write back: there if and only if that was asked for. */
export function confirmationPart(
  { confirmWithin }: { readonly confirmWithin?: number },
  confirmation: Confirmation | null,
): { confirmation?: Static<typeof ArmedConfirmationResource> | null } {
  if (confirmWithin === undefined) return {};
  if (confirmation === null) return { confirmation };
  return { confirmation: { id: confirmation.id, revertsAt: formatTime(confirmation.revertsAt) } };
}
