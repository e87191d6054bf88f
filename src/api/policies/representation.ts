import type { Static } from "typebox";
import { DomainError } from "../../domain/errors.ts";
import {
  banDefaults,
  type CountPer,
  type Enforcement,
  type JudgedOffender,
  type Policy,
  type PolicyBan,
  type PolicySpec,
  policyDefaults,
} from "../../domain/policy.ts";
import type { Enforcer } from "../../domain/ports.ts";
import { formatEnd, formatTime } from "../fields.ts";
import type { NewPolicy, OffenderResource, PolicyPatch, PolicyReplacement, PolicyResource } from "./schemas.ts";

/** Fills in the defaults of what was left out. */
export function specFromInput(input: Static<typeof NewPolicy> | Static<typeof PolicyReplacement>): PolicySpec {
  const { name: _, ban, countPer, ...given } = input;
  return {
    ...policyDefaults,
    ...given,
    countPer: { ...policyDefaults.countPer, ...countPer },
    ban: ban == null ? null : { ...banDefaults, ...ban },
  };
}

/**
 * Applies a merge patch (RFC 7396). A removed field gets its default.
 * @throws {DomainError} `invalid-input` when a ban is begun without its length
 */
export function applyPatch(current: PolicySpec, patch: Static<typeof PolicyPatch>): PolicySpec {
  return {
    description: patched(current.description, patch.description, policyDefaults.description),
    protocol: patched(current.protocol, patch.protocol, policyDefaults.protocol),
    ports: patch.ports ?? current.ports,
    maxConnections: patch.maxConnections ?? current.maxConnections,
    countPer: patchedCountPer(current.countPer, patch.countPer),
    ban: patchedBan(current.ban, patch.ban),
    rejectWith: patched(current.rejectWith, patch.rejectWith, policyDefaults.rejectWith),
    exempt: patched(current.exempt, patch.exempt, policyDefaults.exempt),
    mode: patched(current.mode, patch.mode, policyDefaults.mode),
  };
}

/** What callers see of a policy. */
export function presentPolicy(policy: Policy, enforcement: Enforcement): Static<typeof PolicyResource> {
  return {
    name: policy.name,
    description: policy.description,
    protocol: policy.protocol,
    ports: [...policy.ports],
    maxConnections: policy.maxConnections,
    countPer: policy.countPer,
    ban: policy.ban,
    rejectWith: policy.rejectWith,
    exempt: [...policy.exempt],
    mode: policy.mode,
    revision: policy.revision,
    createdAt: formatTime(policy.createdAt),
    updatedAt: formatTime(policy.updatedAt),
    enforcement: enforcement.state === "enforced" ? { state: "enforced", since: formatTime(enforcement.since) } : enforcement,
  };
}

/**
 * The enforcement that a write would answer, as far as it can be foreseen.
 * @param enforcer what it says of the policies that are there
 */
export function foreseenEnforcement(
  policy: Policy,
  changed: boolean,
  enforcer: Pick<Enforcer, "enforcementOf" | "failure">,
): Enforcement {
  if (!changed) return enforcer.enforcementOf(policy);
  if (policy.mode === "off") return { state: "off" };
  const message = enforcer.failure();
  return message === null ? { state: "enforced", since: policy.updatedAt } : { state: "pending", message };
}

/** What callers see of an offender. */
export function presentOffender({
  source,
  firstSeenAt,
  lastSeenAt,
  bannedUntil,
  outcome,
}: JudgedOffender): Static<typeof OffenderResource> {
  return {
    source,
    firstSeenAt: formatTime(firstSeenAt),
    lastSeenAt: formatTime(lastSeenAt),
    bannedUntil: formatEnd(bannedUntil),
    outcome,
  };
}

function patched<T>(current: T, patch: T | null | undefined, fallback: T): T {
  if (patch === undefined) return current;
  return patch ?? fallback;
}

function patchedCountPer(current: CountPer, patch: Static<typeof PolicyPatch>["countPer"]): CountPer {
  if (patch === undefined) return current;
  if (patch === null) return policyDefaults.countPer;
  return {
    ipv4Prefix: patched(current.ipv4Prefix, patch.ipv4Prefix, policyDefaults.countPer.ipv4Prefix),
    ipv6Prefix: patched(current.ipv6Prefix, patch.ipv6Prefix, policyDefaults.countPer.ipv6Prefix),
  };
}

function patchedBan(current: PolicyBan | null, patch: Static<typeof PolicyPatch>["ban"]): PolicyBan | null {
  if (patch === undefined) return current;
  if (patch === null) return null;
  const { seconds = current?.seconds } = patch;
  if (seconds === undefined) {
    throw new DomainError("invalid-input", "The policy has no ban yet, so a new one needs its length.", [
      { pointer: "/ban/seconds", message: "is required where the policy has no ban yet" },
    ]);
  }
  return {
    seconds,
    scope: patched(current?.scope ?? banDefaults.scope, patch.scope, banDefaults.scope),
    renewOnAttempt: patched(
      current?.renewOnAttempt ?? banDefaults.renewOnAttempt,
      patch.renewOnAttempt,
      banDefaults.renewOnAttempt,
    ),
  };
}
