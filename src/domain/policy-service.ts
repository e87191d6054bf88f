import { randomBytes } from "node:crypto";
import { changedNote, policyResource } from "./audit.ts";
import type { AuditService } from "./audit-service.ts";
import type { PolicyWriteTerms } from "./caller.ts";
import { createConnectionCounter, type PolicyCount } from "./connection-counts.ts";
import { desiredOf } from "./desired.ts";
import { DomainError } from "./errors.ts";
import { forecast } from "./forecast.ts";
import type { Foresight } from "./foresight.ts";
import { countFor, noImpact, policyImpact } from "./impact.ts";
import { kernelAnswer } from "./kernel-answer.ts";
import { assertMayOverride, createLockoutGuard, type FindLockouts, policyLockout } from "./lockout-guard.ts";
import type { Network } from "./network.ts";
import { createOverlay } from "./overlay.ts";
import type { JudgedOffender, Offender, OffenderOutcome, Policy, PolicySpec } from "./policy.ts";
import { policyChangeOf, takenBackNote } from "./policy-audit.ts";
import {
  carryOut,
  decideChange,
  leavesTheSame,
  type PolicyAsked,
  type PolicyChange,
  specOf,
  takeBack,
  validateConfirmWithin,
} from "./policy-change.ts";
import { validatePolicyName } from "./policy-rules.ts";
import {
  type Clock,
  type Connections,
  type Desired,
  EnforcementDelayed,
  type Enforcer,
  type Firewall,
  type Store,
  type Surroundings,
} from "./ports.ts";
import { assertPreconditions, type Preconditions } from "./preconditions.ts";
import type { PolicyEdit, PolicyForesight, PolicyOutcome, PolicyService } from "./services.ts";
import { versionOf } from "./version.ts";

export interface PolicyServiceOptions {
  readonly store: Store;
  readonly firewall: Firewall;
  readonly enforcer: Enforcer;
  readonly connections: Pick<Connections, "scan">;
  readonly surroundings: Surroundings;
  readonly audit: Pick<AuditService, "watch">;
  readonly clock: Clock;
  /** Never counted and never banned. */
  readonly protectedNetworks: readonly Network[];
  /** The TCP ports on which this service listens. */
  readonly apiPorts: readonly number[];
}

/** A write that was found to be possible, in the state of that moment. */
interface Prepared {
  readonly change: PolicyChange;
  readonly desired: Desired;
  /** What the caller overrides. */
  readonly warnings: readonly string[];
  /** The connections that are open now, as the policy counts them; they are looked at once. */
  readonly count: (policy: Policy) => Promise<PolicyCount>;
}

interface Written {
  readonly change: PolicyChange;
  readonly enforced: boolean;
}

/**
 * The strong version of a policy for preconditions. The content is part of it, so that a policy which is deleted and made anew
 * within one millisecond gets another.
 */
export function policyVersion(policy: Policy): string {
  const { name, revision, createdAt } = policy;
  const { description, protocol, ports, maxConnections, countPer, ban, rejectWith, exempt, mode } = policy;
  return versionOf([
    [name, revision, createdAt],
    [description, protocol, ports, maxConnections, countPer.ipv4Prefix, countPer.ipv6Prefix, rejectWith, exempt, mode],
    ban === null ? null : [ban.seconds, ban.scope, ban.renewOnAttempt],
  ]);
}

/** The policies: what is stored, checked by the kernel before and enforced after. */
export function createPolicyService(options: PolicyServiceOptions): PolicyService {
  const { store, firewall, enforcer, connections, audit, clock, protectedNetworks } = options;
  const guard = createLockoutGuard(options);

  /** All that can refuse a write before it is stored. */
  async function prepare(asked: PolicyAsked, rehearses: boolean): Promise<Prepared> {
    assertMayOverride(asked.terms);
    const now = clock.now();
    const change = decideChange(store, asked, now);
    const overlay = createOverlay(store);
    carryOut(overlay, change, now);
    const desired = desiredOf(overlay, now);
    let counted: Promise<PolicyCount> | undefined;
    const count = (policy: Policy): Promise<PolicyCount> => {
      counted ??= countFor(policy, protectedNetworks, connections);
      return counted;
    };
    const { changed, policy } = change;
    if (!changed || policy === undefined) return { change, desired, warnings: [], count };
    const find: FindLockouts = async (lifelines) => {
      const message = await policyLockout(policy, lifelines, protectedNetworks, () => count(policy));
      return message === undefined ? [] : [{ pointer: "", message }];
    };
    // The kernel thinks while the guard looks around.
    const checked = checkWithKernel(desired);
    checked.catch(() => "told below, unless the guard refuses first");
    const warnings = policy.mode === "enforce" ? await guard.judge(asked.terms, find, rehearses) : [];
    await checked;
    return { change, desired, warnings, count };
  }

  async function checkWithKernel(desired: Desired): Promise<void> {
    try {
      await firewall.check(desired);
    } catch (error) {
      // The kernel can't answer now. The change is wanted all the same, and the caller is told that it is on its way.
      if (!(error instanceof EnforcementDelayed)) throw error;
    }
  }

  /** Stores what is asked, as it is decided inside the transaction, where the answer counts; then waits for the kernel. */
  async function write(
    asked: PolicyAsked,
    settle: (stored: PolicyChange, since: number, asked: PolicyAsked) => Promise<boolean>,
    since = clock.monotonic(),
  ): Promise<Written> {
    const { caller } = asked.terms;
    const attempt = { caller, action: asked.action, resource: policyResource(asked.name) };
    const { change: prepared } = await audit.watch(attempt, () => prepare(asked, false));
    const { policy, changed } = prepared;
    if (policy !== undefined && !changed)
      return { change: prepared, enforced: enforcer.enforcementOf(policy).state !== "pending" };
    const stored = await store.transact((transaction) => {
      const now = clock.now();
      const change = decideChange(transaction, asked, now);
      if (!leavesTheSame(change, prepared)) return undefined;
      carryOut(transaction, change, now);
      if (change.changed) transaction.audit(changedNote(caller, now, policyChangeOf(asked, change)));
      return change;
    });
    // Somebody else's change came between, and what is wanted now is not what the kernel was asked about.
    if (stored === undefined) return write(asked, settle, since);
    return { change: stored, enforced: await settle(stored, since, asked) };
  }

  async function writePolicy(asked: PolicyAsked): Promise<PolicyOutcome> {
    const { change, enforced } = await write(asked, settleOrTakeBack);
    const { policy, created, changed, confirmation } = change;
    return { resource: existing(policy, asked.name), created, changed, enforced, confirmation };
  }

  /** The check can pass and the write be refused all the same: then the caller is told so, and nothing stays stored. */
  async function settleOrTakeBack(stored: PolicyChange, since: number, asked: PolicyAsked): Promise<boolean> {
    try {
      return await enforcer.settle("rules", since);
    } catch (error) {
      await store.transact((change) => {
        if (takeBack(change, stored)) change.audit(takenBackNote(asked, stored, error, clock.now()));
      });
      throw error;
    }
  }

  /** What is left without the policy stood beside it before: that the kernel refuses it now is no reason to bring the policy back. */
  async function settleRemoval(_stored: PolicyChange, since: number): Promise<boolean> {
    try {
      return await enforcer.settle("rules", since);
    } catch (error) {
      if (error instanceof DomainError && error.code === "kernel-refused") return false;
      throw error;
    }
  }

  async function rehearse<Result>(
    asked: PolicyAsked,
    describe: (policy: Policy | undefined) => Result,
  ): Promise<Foresight<Result>> {
    const { change, desired, warnings, count } = await prepare(asked, true);
    const { policy, created, changed } = change;
    const concerns = policy !== undefined && policy.mode !== "off";
    const measured = concerns ? policyImpact(await count(policy)) : noImpact;
    return forecast({ changed, created, result: describe(policy), desired, measured, warnings }, options);
  }

  function get(name: string): Policy {
    return existing(store.policy(name), name);
  }

  const rehearseWrite = (asked: PolicyAsked) => rehearse(asked, (policy) => existing(policy, asked.name));
  const foresee: PolicyForesight = {
    create: async (name, spec, terms) => rehearseWrite(creation(name, spec, terms)),
    put: async (name, spec, conditions, terms) => rehearseWrite(replacement(name, spec, conditions, terms)),
    edit: async (name, edit, conditions, terms) => rehearseWrite(editing(name, edit, conditions, terms)),
    remove: async (name, conditions, terms) => rehearse(removal(name, conditions, terms), () => null),
  };

  return {
    foresee,
    list: () => store.policies(),
    get,
    create: async (name, spec, terms) => writePolicy(creation(name, spec, terms)),
    put: async (name, spec, conditions, terms) => writePolicy(replacement(name, spec, conditions, terms)),
    edit: async (name, edit, conditions, terms) => writePolicy(editing(name, edit, conditions, terms)),
    async remove(name, conditions, terms) {
      const { change, enforced } = await write(removal(name, conditions, terms), settleRemoval);
      return { enforced, confirmation: change.confirmation };
    },
    async offenders(name) {
      const policy = get(name);
      const outcome = offenderOutcome(policy);
      const view = await kernelAnswer(firewall.view());
      const listed = view.offenders(name).map((offender) => ({ ...offender, outcome }));
      const forgottenAt = firewall.countsForgottenAt();
      if (forgottenAt === null || policy.mode === "off") return listed;
      const counter = createConnectionCounter({ policies: [policy], protectedNetworks });
      await kernelAnswer(connections.scan(counter.visit));
      return [...listed, ...uncounted(counter.results, listed, forgottenAt)].sort((a, b) => b.lastSeenAt - a.lastSeenAt);
    },
  };
}

/** Sources that hold more than the limit because the kernel forgot what it had counted; it refuses them nothing before they ask for more. */
function uncounted(results: readonly PolicyCount[], listed: readonly Offender[], at: number): readonly JudgedOffender[] {
  const known = new Set(listed.map(({ source }) => source));
  return results.flatMap(({ policy, counts }) => {
    const outcome = policy.ban === null ? "would-be-refused" : "would-be-banned";
    const above = [...counts].filter(([source, count]) => count > policy.maxConnections && !known.has(source));
    return above.map(([source]) => ({ source, firstSeenAt: at, lastSeenAt: at, bannedUntil: null, outcome }) as const);
  });
}

function creation(name: string, spec: PolicySpec, terms: PolicyWriteTerms): PolicyAsked {
  validatePolicyName(name, "/name");
  return askedOf(name, terms, (current) => {
    if (current !== undefined)
      throw new DomainError("already-exists", `There is a policy ${name} already. PUT replaces it, PATCH edits it.`);
    return spec;
  });
}

function replacement(name: string, spec: PolicySpec, conditions: Preconditions, terms: PolicyWriteTerms): PolicyAsked {
  validatePolicyName(name, "name");
  return askedOf(name, terms, (current) => {
    assertPolicyPreconditions(conditions, current);
    return spec;
  });
}

function editing(name: string, edit: PolicyEdit, conditions: Preconditions, terms: PolicyWriteTerms): PolicyAsked {
  return askedOf(name, terms, (current) => {
    const present = existing(current, name);
    assertPolicyPreconditions(conditions, present);
    return edit(specOf(present));
  });
}

function removal(name: string, conditions: Preconditions, terms: PolicyWriteTerms): PolicyAsked {
  return askedOf(
    name,
    terms,
    (current) => {
      assertPolicyPreconditions(conditions, existing(current, name));
      return undefined;
    },
    "policy.delete",
  );
}

/** @throws {DomainError} `invalid-input` */
function askedOf(
  name: string,
  terms: PolicyWriteTerms,
  specFrom: PolicyAsked["specFrom"],
  action: PolicyAsked["action"] = "policy.put",
): PolicyAsked {
  validateConfirmWithin(terms.confirmWithin);
  return { name, specFrom, terms, action, confirmationId: randomBytes(16).toString("base64url") };
}

function existing(policy: Policy | undefined, name: string): Policy {
  if (policy === undefined) throw new DomainError("not-found", `There is no policy ${name}.`);
  return policy;
}

function assertPolicyPreconditions(conditions: Preconditions, current: Policy | undefined): void {
  assertPreconditions(conditions, current && policyVersion(current));
}

/** What the policy does to those over its limit; one that is off has none. */
function offenderOutcome({ mode, ban }: Policy): OffenderOutcome {
  const outcome = ban === null ? "refused" : "banned";
  return mode === "enforce" ? outcome : `would-be-${outcome}`;
}
