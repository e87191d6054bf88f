import { createConnectionCounter, type PolicyCount } from "./connection-counts.ts";
import { type Impact, type ImpactOutcome, type ImpactSource, maxImpactSources } from "./foresight.ts";
import { kernelAnswer } from "./kernel-answer.ts";
import { compareNetworks, type Network, parseNetwork } from "./network.ts";
import { createCoverage } from "./network-coverage.ts";
import type { Policy } from "./policy.ts";
import type { Connections } from "./ports.ts";

/** An impact, and a sentence about what it leaves out. */
export interface MeasuredImpact {
  readonly impact: Impact;
  readonly warnings: readonly string[];
}

export const noImpact: MeasuredImpact = { impact: { sources: [] }, warnings: [] };

/** The connections that are open now, as `policy` counts them. @throws {DomainError} `not-ready` */
export async function countFor(
  policy: Policy,
  protectedNetworks: readonly Network[],
  connections: Pick<Connections, "scan">,
): Promise<PolicyCount> {
  const { results, visit } = createConnectionCounter({ policies: [policy], protectedNetworks });
  await kernelAnswer(connections.scan(visit));
  const [count] = results;
  if (count === undefined) throw new Error("one policy was to be counted");
  return count;
}

/** The sources that hold more connections than the policy allows, spared ones too. */
export function policyImpact({ policy, counts, spared }: PolicyCount): MeasuredImpact {
  return impactOf(policy.maxConnections, [
    [counts, outcomeOf(policy)],
    [spared.exempt, "exempt"],
    [spared.protected, "protected"],
  ]);
}

/** The connections that some networks have open. */
export interface OpenInNetworks {
  /** How many by address. */
  readonly counts: ReadonlyMap<string, number>;
  /** How many are of networks whose connections end. */
  readonly severed: number;
}

/** @throws {DomainError} `not-ready` */
export async function countIn(
  networks: readonly { readonly network: Network; readonly severs: boolean }[],
  connections: Pick<Connections, "scan">,
): Promise<OpenInNetworks> {
  const counts = new Map<string, number>();
  if (networks.length === 0) return { counts, severed: 0 };
  const isCovered = createCoverage(networks.map(({ network }) => network));
  const isSevered = createCoverage(networks.flatMap(({ network, severs }) => (severs ? [network] : [])));
  const known = new Map<string, "covered" | "severed" | null>();
  let severed = 0;

  function judge(source: string): "covered" | "severed" | null {
    const address = parseNetwork(source);
    if (isSevered(address)) return "severed";
    return isCovered(address) ? "covered" : null;
  }

  await kernelAnswer(
    connections.scan((source) => {
      let kind = known.get(source);
      if (kind === undefined) {
        kind = judge(source);
        known.set(source, kind);
      }
      if (kind === null) return;
      counts.set(source, (counts.get(source) ?? 0) + 1);
      if (kind === "severed") severed += 1;
    }),
  );
  return { counts, severed };
}

/** The sources that a ban would cut off; a ban allows no connection. */
export function banImpact({ counts }: OpenInNetworks): MeasuredImpact {
  return impactOf(0, [[counts, "banned"]]);
}

function outcomeOf({ mode, ban }: Policy): ImpactOutcome {
  if (mode === "observe") return "observed";
  return ban === null ? "refused" : "banned";
}

/** Connections by source, and what comes of those above the limit. */
type Judged = readonly [counts: ReadonlyMap<string, number>, outcome: ImpactOutcome];

/** Lists those with the most connections, without copying or sorting all of them: there can be hundreds of thousands. */
function impactOf(limit: number, tallies: readonly Judged[]): MeasuredImpact {
  const { least, ties, left } = selectionOf(limit, tallies);
  const listed: { readonly source: ImpactSource; readonly network: Network }[] = [];
  let tied = 0;
  for (const [counts, outcome] of tallies) {
    for (const [source, connections] of counts) {
      if (connections < least || (connections === least && tied === ties)) continue;
      if (connections === least) tied += 1;
      listed.push({ source: { source, connections, limit, outcome }, network: parseNetwork(source) });
    }
  }
  listed.sort((a, b) => b.source.connections - a.source.connections || compareNetworks(a.network, b.network));
  const warning = `${left} more sources would be concerned: impact lists the ${maxImpactSources} with the most connections.`;
  return { impact: { sources: listed.map(({ source }) => source) }, warnings: left === 0 ? [] : [warning] };
}

/** Which sources are listed: those with more than `least` connections, and `ties` of those with exactly so many. */
interface Selection {
  readonly least: number;
  readonly ties: number;
  /** How many above the limit are not. */
  readonly left: number;
}

function selectionOf(limit: number, tallies: readonly Judged[]): Selection {
  const holders = new Map<number, number>();
  let above = 0;
  for (const [counts] of tallies) {
    for (const connections of counts.values()) {
      if (connections <= limit) continue;
      holders.set(connections, (holders.get(connections) ?? 0) + 1);
      above += 1;
    }
  }
  let listed = 0;
  for (const [connections, count] of [...holders].sort(([a], [b]) => b - a)) {
    const room = maxImpactSources - listed;
    if (count >= room) return { least: connections, ties: room, left: above - maxImpactSources };
    listed += count;
  }
  return { least: limit + 1, ties: Number.POSITIVE_INFINITY, left: 0 };
}
