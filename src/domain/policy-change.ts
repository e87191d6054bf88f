import { isDeepStrictEqual } from "node:util";
import type { PolicyWriteTerms } from "./caller.ts";
import { type Confirmation, confirmWithinLimits } from "./confirmation.ts";
import { pruneConfirmations } from "./confirmation-rules.ts";
import { DomainError } from "./errors.ts";
import type { Policy, PolicySpec } from "./policy.ts";
import { validatePolicySpec } from "./policy-rules.ts";
import type { DesiredState, StateChange } from "./ports.ts";

/** What a caller asks of one policy. */
export interface PolicyAsked {
  readonly name: string;
  /** What is to stand there instead of the present one; `undefined`: nothing. Refuses by throwing. */
  readonly specFrom: (current: Policy | undefined) => PolicySpec | undefined;
  readonly terms: PolicyWriteTerms;
  readonly action: "policy.put" | "policy.delete";
  /** For the confirmation, when there is to be one. */
  readonly confirmationId: string;
}

/** What a write comes to. */
export interface PolicyChange {
  readonly name: string;
  readonly previous: Policy | undefined;
  /** What stands there afterwards. */
  readonly policy: Policy | undefined;
  readonly created: boolean;
  readonly changed: boolean;
  readonly confirmation: Confirmation | null;
}

/**
 * What a write comes to in `state`. Pure, so that a rehearsal and the transaction decide alike.
 * @param now milliseconds since the epoch
 * @throws {DomainError} `invalid-input`, `unconfirmed`, and whatever `specFrom` throws
 */
export function decideChange(
  state: DesiredState,
  { name, specFrom, terms, confirmationId }: PolicyAsked,
  now: number,
): PolicyChange {
  const previous = state.policy(name);
  const wanted = specFrom(previous);
  assertConfirmed(state, name);
  const spec = wanted && validSpec(wanted);
  if (previous !== undefined && spec !== undefined && isDeepStrictEqual(specOf(previous), spec))
    return { name, previous, policy: previous, created: false, changed: false, confirmation: null };
  const policy = spec && successor(name, spec, previous, now);
  const { confirmWithin, caller } = terms;
  const confirmation: Confirmation | null =
    confirmWithin === undefined
      ? null
      : {
          id: confirmationId,
          policy: name,
          previous: previous ?? null,
          actor: caller.actor,
          createdAt: now,
          revertsAt: now + confirmWithin * 1000,
          revertedAt: null,
        };
  return { name, previous, policy, created: previous === undefined, changed: true, confirmation };
}

/** Makes a change that was decided on the same state. */
export function carryOut(change: StateChange, { name, policy, changed, confirmation }: PolicyChange, now: number): void {
  if (!changed) return;
  if (policy === undefined) change.deletePolicy(name);
  else change.putPolicy(policy);
  if (confirmation === null) return;
  pruneConfirmations(change, now);
  change.putConfirmation(confirmation);
}

/** Undoes a change that the kernel refused, and answers true. What somebody stored on top of it meanwhile stays theirs: false. */
export function takeBack(change: StateChange, { name, previous, policy, changed, confirmation }: PolicyChange): boolean {
  if (!changed || change.policy(name) !== policy) return false;
  if (previous === undefined) change.deletePolicy(name);
  else change.putPolicy(previous);
  if (confirmation !== null) change.deleteConfirmation(confirmation.id);
  return true;
}

/** True when both leave the same content, whatever its revision. */
export function leavesTheSame(a: PolicyChange, b: PolicyChange): boolean {
  return isDeepStrictEqual(a.policy && specOf(a.policy), b.policy && specOf(b.policy));
}

/** The caller's part alone, whatever else the object carries. */
export function specOf({
  description,
  protocol,
  ports,
  maxConnections,
  countPer,
  ban,
  rejectWith,
  exempt,
  mode,
}: PolicySpec): PolicySpec {
  return {
    description,
    protocol,
    ports: [...ports],
    maxConnections,
    countPer: { ipv4Prefix: countPer.ipv4Prefix, ipv6Prefix: countPer.ipv6Prefix },
    ban: ban && { seconds: ban.seconds, scope: ban.scope, renewOnAttempt: ban.renewOnAttempt },
    rejectWith,
    exempt: [...exempt],
    mode,
  };
}

/** @throws {DomainError} `invalid-input` */
export function validateConfirmWithin(seconds: number | undefined): void {
  const { minimum, maximum } = confirmWithinLimits;
  if (seconds === undefined || (Number.isInteger(seconds) && seconds >= minimum && seconds <= maximum)) return;
  const message = `takes a whole number of seconds from ${minimum} to ${maximum} (an hour)`;
  throw new DomainError("invalid-input", `confirmWithin ${message}.`, [{ pointer: "confirmWithin", message }]);
}

function successor(name: string, spec: PolicySpec, previous: Policy | undefined, now: number): Policy {
  return { ...spec, name, revision: (previous?.revision ?? 0) + 1, createdAt: previous?.createdAt ?? now, updatedAt: now };
}

function assertConfirmed(state: DesiredState, name: string): void {
  const pending = state.confirmations().find(({ policy, revertedAt }) => policy === name && revertedAt === null);
  if (pending === undefined) return;
  const { id, actor, revertsAt } = pending;
  throw new DomainError(
    "unconfirmed",
    `A change of the policy ${name} by ${actor} waits for its confirmation ${id} and is undone at ${new Date(revertsAt).toISOString()}. Confirm it first (POST /v1/confirmations/${id}), or undo it now (DELETE).`,
  );
}

function validSpec(spec: PolicySpec): PolicySpec {
  validatePolicySpec(spec);
  return specOf(spec);
}
