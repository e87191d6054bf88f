import type { WritePlan } from "./ports.ts";

/** What would become of a source: protected and exempt ones are never counted, and `observed` are those over the limit of a policy that refuses nothing. */
export type ImpactOutcome = "refused" | "banned" | "observed" | "exempt" | "protected";

/** A source that would be concerned. */
export interface ImpactSource {
  /** Canonical address; for policies the network by which they count. */
  readonly source: string;
  /** Open now: to the policy's ports, for a ban to any port of this host. */
  readonly connections: number;
  /** How many it may hold; 0 for a ban. */
  readonly limit: number;
  readonly outcome: ImpactOutcome;
}

/** Whom a write would concern the moment it goes live, as measured from the open connections. */
export interface Impact {
  /** Most connections first, then by address; at most `maxImpactSources`. A network can stand there once with each outcome. */
  readonly sources: readonly ImpactSource[];
}

/** What a write would do, without it being done. */
export interface Foresight<Result> {
  /** False when the write asks for what is there already. */
  readonly changed: boolean;
  readonly created: boolean;
  /** What the write would answer. */
  readonly result: Result;
  readonly plan: WritePlan;
  readonly impact: Impact;
  /** Sentences about what the caller should know before the write. */
  readonly warnings: readonly string[];
}

/** Sources that one answer lists. */
export const maxImpactSources = 1000;
