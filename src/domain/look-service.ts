import type { Ban } from "./ban.ts";
import { type BanSources, bansAround } from "./ban-list.ts";
import { addressFrom, countLive, isLive } from "./ban-rules.ts";
import { countedNetwork, createConnectionCounter, isWithin } from "./connection-counts.ts";
import { DomainError } from "./errors.ts";
import { kernelAnswer } from "./kernel-answer.ts";
import { contains, formatNetwork, type Network, networksAround, parseNetwork } from "./network.ts";
import { createSourceCounter } from "./open-connections.ts";
import { isExempt, type Policy } from "./policy.ts";
import { policyLimits } from "./policy-rules.ts";
import type { Clock, Connections, DesiredState, Enforcer, Firewall } from "./ports.ts";
import type { Check, DomainStatus, LookService, PolicyCheck, SourceOverLimit, Verdict } from "./services.ts";

export interface LookServiceOptions {
  readonly store: DesiredState;
  readonly firewall: Pick<Firewall, "view" | "position" | "banRoom">;
  readonly enforcer: Pick<Enforcer, "inStep" | "failure" | "enforcementOf">;
  readonly connections: Pick<Connections, "scan">;
  readonly clock: Clock;
  /** Never counted and never banned. */
  readonly protectedNetworks: readonly Network[];
}

/** Answers what the kernel does now; where it can't be asked, nothing is answered rather than assumed. */
export function createLookService(options: LookServiceOptions): LookService {
  const { store, firewall, enforcer, connections, clock, protectedNetworks } = options;

  function activePolicies(): readonly Policy[] {
    return store.policies().filter((policy) => policy.mode !== "off");
  }

  function graceOf(network: Network, now: number): number | null {
    const ends = store
      .graces()
      .flatMap(({ address, until }) => (until > now && contains(parseNetwork(address), network) ? [until] : []));
    return ends.length === 0 ? null : Math.max(...ends);
  }

  function verdictOf(network: Network, policies: readonly PolicyCheck[], sources: BanSources): Verdict {
    if (isWithin(network, protectedNetworks)) return "protected";
    if (isRefused(network, policies, sources)) return "banned";
    return policies.some(({ name, mode, overLimit }) => mode === "enforce" && overLimit && sources.inStep && isInKernel(name))
      ? "limited"
      : "allowed";
  }

  function isInKernel(name: string): boolean {
    const policy = store.policy(name);
    return policy !== undefined && enforcer.enforcementOf(policy).state === "enforced";
  }

  return {
    async check(text) {
      const network = addressFrom(text, "address");
      const now = clock.now();
      const active = activePolicies();
      const counter = createConnectionCounter({ policies: active, protectedNetworks, only: network });
      // The kernel goes over its connections while the others are asked.
      const counting = connections.scan(counter.visit, widestCounted(network, active));
      const [view, { shadowedBy, inPlace }] = await kernelAnswer(Promise.all([firewall.view(), firewall.position(), counting]));
      const sources: BanSources = { view, inStep: inPlace && enforcer.inStep(), now };
      const bans = bansAround(network, store, sources);
      const isSpared = isWithin(network, protectedNetworks);
      const policies = counter.results.map(({ policy, counts }) => {
        const openConnections = counts.get(formatNetwork(countedNetwork(policy, network))) ?? 0;
        return checkOf(policy, { network, openConnections, isSpared, bans });
      });
      const check: Check = {
        address: formatNetwork(network),
        verdict: verdictOf(network, policies, sources),
        bans,
        policies,
        grace: graceOf(network, now),
        shadowedBy,
        enforced: sources.inStep,
      };
      return check;
    },

    async connections({ port }) {
      if (port !== undefined) validatePort(port);
      const counter = createSourceCounter();
      await kernelAnswer(
        connections.scan((source, ownPort) => {
          if (port === undefined || port === ownPort) counter.visit(source);
        }),
      );
      return counter.result();
    },

    async status() {
      const now = clock.now();
      const counter = createConnectionCounter({ policies: activePolicies(), protectedNetworks });
      const [view, { shadowedBy }] = await kernelAnswer(
        Promise.all([firewall.view(), firewall.position(), connections.scan(counter.visit)]),
      );
      const { capacity, networks, remedy } = firewall.banRoom();
      const operatorBans = store.operatorBans().filter((ban) => isLive(ban, now));
      const policyBans = view.policyBans.filter((ban) => isLive(ban, now));
      const fill = countLive(operatorBans, now);
      const notEnforced =
        operatorBans.filter((ban) => !view.operatorBans.has(ban.address)).length +
        policyBans.filter((ban) => !ban.enforced).length;
      const status: DomainStatus = {
        inStep: enforcer.inStep(),
        failure: enforcer.failure(),
        policies: countModes(store.policies()),
        bans: {
          ipv4: { operatorBans: fill[4], capacity },
          ipv6: { operatorBans: fill[6], capacity },
          policyBans: policyBans.length,
          notEnforced,
          networks,
          remedy,
        },
        graces: store.graces().filter((grace) => grace.until > now).length,
        shadowedBy,
        overLimit: counter.results.flatMap(({ policy, counts }) => sourcesOver(policy, counts)),
      };
      return status;
    },
  };
}

/** The network that holds whoever counts together with `network` for some policy. */
function widestCounted(network: Network, policies: readonly Policy[]): Network {
  return policies
    .map((policy) => countedNetwork(policy, network))
    .reduce((widest, one) => (one.prefix < widest.prefix ? one : widest), network);
}

interface Concern {
  readonly network: Network;
  readonly openConnections: number;
  /** Protected, hence never counted. */
  readonly isSpared: boolean;
  readonly bans: readonly Ban[];
}

function checkOf(policy: Policy, { network, openConnections, isSpared, bans }: Concern): PolicyCheck {
  const { name, mode, ports, maxConnections } = policy;
  const exempt = isExempt(policy, network);
  const ends = bans
    .flatMap(({ causes }) => causes)
    .flatMap((cause) => (cause.by === "policy" && cause.policy === name ? [cause.expiresAt] : []));
  return {
    name,
    mode: mode === "observe" ? "observe" : "enforce",
    ports,
    maxConnections,
    openConnections,
    overLimit: !exempt && !isSpared && openConnections >= maxConnections,
    exempt,
    bannedUntil: exempt || ends.length === 0 ? null : Math.max(...ends),
  };
}

/** True when an entry in the kernel hits the address, whether the store wants it or not. The ban of a wider network spares those whom the policy exempts. */
function isRefused(network: Network, policies: readonly PolicyCheck[], { view, inStep, now }: BanSources): boolean {
  if (!inStep) return false;
  const around = new Set(networksAround(network).map(formatNetwork));
  const exempting = new Set(policies.filter(({ exempt }) => exempt).map(({ name }) => name));
  const isHitByPolicy = view.policyBans.some(
    (ban) => ban.enforced && isLive(ban, now) && around.has(ban.address) && ban.policies.some((policy) => !exempting.has(policy)),
  );
  return isHitByPolicy || [...around].some((address) => view.operatorBans.has(address));
}

function sourcesOver({ name, maxConnections }: Policy, counts: ReadonlyMap<string, number>): readonly SourceOverLimit[] {
  return [...counts]
    .filter(([, connections]) => connections > maxConnections)
    .sort(([, a], [, b]) => b - a)
    .map(([source, connections]) => ({ policy: name, source, connections, maxConnections }));
}

function countModes(policies: readonly Policy[]): DomainStatus["policies"] {
  const counts = { enforce: 0, observe: 0, off: 0 };
  for (const { mode } of policies) counts[mode] += 1;
  return counts;
}

function validatePort(port: number): void {
  const { minimum, maximum } = policyLimits.port;
  if (Number.isInteger(port) && port >= minimum && port <= maximum) return;
  const message = `takes a whole number from ${minimum} to ${maximum}`;
  throw new DomainError("invalid-input", `port ${message}.`, [{ pointer: "port", message }]);
}
