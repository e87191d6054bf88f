import type { Static } from "typebox";
import type { KernelFacts } from "../../domain/inspection.ts";
import type { BanFill, DomainStatus } from "../../domain/services.ts";
import { formatEnd, formatTime } from "../fields.ts";
import type { StatusResource } from "./schemas.ts";
import { type Warning, warningsOf } from "./warnings.ts";

/** A pass that found the kernel changed by somebody else and put it right. `at` in milliseconds since the epoch. */
export interface Repair {
  readonly at: number;
  /** What differed, in words. */
  readonly found: readonly string[];
  /** How many lines of restore text and list entries were written. */
  readonly writes: number;
}

/** What came of the passes over the kernel since the start. */
export interface PassHistory {
  /** `latest`: the newest first, up to some number that is the history's to choose. */
  repairs(): { readonly count: number; readonly latest: readonly Repair[] };
  /** When the last pass that succeeded ended, in milliseconds since the epoch; null while there was none. */
  lastPassAt(): number | null;
}

/** Everything that the status is made from. */
export interface StatusParts {
  readonly version: string;
  /** In seconds. */
  readonly uptime: number;
  readonly status: DomainStatus;
  readonly facts: KernelFacts;
  readonly enforcement: PassHistory;
}

/** What callers see of the status. */
export function presentStatus({ version, uptime, status, facts, enforcement }: StatusParts): Static<typeof StatusResource> {
  const warnings = warningsOf(status, facts);
  const { inStep, failure, policies, bans, graces } = status;
  return {
    version,
    uptimeSeconds: Math.floor(uptime),
    state: stateOf(inStep, warnings),
    inStep,
    failure,
    backend: presentBackend(facts),
    passes: presentPasses(enforcement),
    policies: { enforce: policies.enforce, observe: policies.observe, off: policies.off },
    bans: {
      ipv4: presentFill(bans.ipv4),
      ipv6: presentFill(bans.ipv6),
      policyBans: bans.policyBans,
      notEnforced: bans.notEnforced,
      networks: bans.networks,
      remedy: bans.remedy,
    },
    graces,
    lists: facts.lists.map(({ name, kind, entries, capacity }) => ({ name, kind, entries, capacity })),
    shadowedBy: [...status.shadowedBy],
    countsForgottenAt: formatEnd(facts.countsForgottenAt),
    overLimit: status.overLimit.map(({ policy, source, connections, maxConnections }) => ({
      policy,
      source,
      connections,
      maxConnections,
    })),
    warnings: [...warnings],
  };
}

function stateOf(inStep: boolean, warnings: readonly Warning[]): "ok" | "warning" | "failing" {
  if (!inStep) return "failing";
  return warnings.length === 0 ? "ok" : "warning";
}

function presentBackend({ backend, version, otherBackendInUse, withoutSets }: KernelFacts) {
  const ipset = { available: withoutSets === null, reason: withoutSets };
  return { name: backend, iptablesVersion: version, otherBackendInUse, ipset };
}

function presentPasses(enforcement: PassHistory) {
  const { count, latest } = enforcement.repairs();
  return {
    lastAt: formatEnd(enforcement.lastPassAt()),
    repairs: { count, latest: latest.map(({ at, found, writes }) => ({ at: formatTime(at), found: [...found], writes })) },
  };
}

function presentFill({ operatorBans, capacity }: BanFill) {
  return { operatorBans, capacity };
}
