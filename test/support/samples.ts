import { createHash } from "node:crypto";
import type { AuditNote } from "../../src/domain/audit.ts";
import type { KernelBan, OperatorBan } from "../../src/domain/ban.ts";
import type { Confirmation } from "../../src/domain/confirmation.ts";
import { type Policy, type PolicySpec, policyDefaults } from "../../src/domain/policy.ts";
import type { Token } from "../../src/domain/token.ts";

/** The token `ci` with this secret, which may write and is no administrator's, with what a test wants to be different. */
export function sampleToken(secret: string, different: Partial<Token> = {}): Token {
  const digest = createHash("sha256").update(secret).digest("hex");
  return {
    name: "ci",
    scopes: ["read", "bans:write", "policies:write"],
    digest,
    createdAt: 1_000,
    expiresAt: null,
    ...different,
  };
}

/** The classic pair's policy, with what a test wants to be different. */
export function samplePolicySpec(different: Partial<PolicySpec> = {}): PolicySpec {
  return { ...policyDefaults, ports: [3306], maxConnections: 2, ...different };
}

export function samplePolicy(different: Partial<Policy> = {}): Policy {
  return { ...samplePolicySpec(), name: "mysql", revision: 1, createdAt: 1_000, updatedAt: 1_000, ...different };
}

export function sampleOperatorBan(different: Partial<OperatorBan> = {}): OperatorBan {
  return { address: "203.0.113.9", actor: "ci", reason: "scanner", since: 1_000, expiresAt: null, ...different };
}

export function sampleKernelBan(different: Partial<KernelBan> = {}): KernelBan {
  return { home: "cld4-host", address: "203.0.113.9", policies: ["mysql"], since: 1_000, expiresAt: 61_000, ...different };
}

export function sampleConfirmation(different: Partial<Confirmation> = {}): Confirmation {
  return {
    id: "mWzwPp5dTLq0MrYQzzzzzw",
    policy: "mysql",
    previous: samplePolicy(),
    actor: "ci",
    createdAt: 1_000,
    revertsAt: 61_000,
    revertedAt: null,
    ...different,
  };
}

export function sampleAuditNote(different: Partial<AuditNote> = {}): AuditNote {
  return {
    ...{
      at: 1_000,
      actor: "ci",
      address: "203.0.113.7",
      requestId: "request-1",
      action: "policy.put",
      resource: "policies/mysql",
    },
    ...{ outcome: "changed", problem: null, detail: null, before: null, after: null },
    ...different,
  };
}
