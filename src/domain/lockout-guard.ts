import { batchError } from "./batch-errors.ts";
import type { Caller, WriteTerms } from "./caller.ts";
import { countedNetwork, isWithin, type PolicyCount } from "./connection-counts.ts";
import { DomainError } from "./errors.ts";
import { contains, type Family, formatNetwork, type Network, parseAddress } from "./network.ts";
import { isExempt, type Policy } from "./policy.ts";
import { EnforcementDelayed, type HostAccess, type Surroundings } from "./ports.ts";

/** Somebody or something that must keep access to this host. */
export interface Lifeline {
  readonly kind: "caller" | "ssh" | "gateway" | "own";
  /** Canonical. */
  readonly address: string;
  readonly network: Network;
  /** This host's ports without which it would be shut out as well. */
  readonly ports: readonly number[];
}

/** A write that would shut somebody out. */
export interface Lockout {
  /** Where the caller wrote it; empty where there is only one thing. */
  readonly pointer: string;
  /** Who would be shut out and why that was found, as sentences. */
  readonly message: string;
}

/** What of a write would shut out some of `lifelines`. */
export type FindLockouts = (lifelines: readonly Lifeline[]) => readonly Lockout[] | Promise<readonly Lockout[]>;

export interface LockoutGuardOptions {
  readonly surroundings: Surroundings;
  /** The TCP ports on which this service listens. */
  readonly apiPorts: readonly number[];
}

export interface LockoutGuard {
  /**
   * Lets a write pass, or refuses it. Where the caller overrides, nobody is looked for unless it is a rehearsal.
   * @param rehearses answer with what is overridden, as warnings
   * @throws {DomainError} `lockout`; `not-ready` while it can't be told who would be shut out
   */
  judge(terms: WriteTerms, find: FindLockouts, rehearses: boolean): Promise<readonly string[]>;
}

/** The shortest prefix that is banned without an override. */
const widestBan = { 4: 8, 6: 16 } as const satisfies Record<Family, number>;
/** How many of those who would be shut out a message names. */
const maxNamed = 5;
const override = "allowLockout=true goes on all the same, for callers with the scope admin.";

/** Keeps writes from shutting out their caller, SSH clients, gateways and this host itself. */
export function createLockoutGuard({ surroundings, apiPorts }: LockoutGuardOptions): LockoutGuard {
  /** A kernel that can't be read must not let anything pass. */
  async function lifelinesOf(caller: Caller, look: keyof Surroundings): Promise<readonly Lifeline[]> {
    try {
      const access = await surroundings[look]();
      return [...lifelines("caller", caller.address === null ? [] : [caller.address], apiPorts), ...lifelinesIn(access)];
    } catch (error) {
      if (!(error instanceof EnforcementDelayed)) throw error;
      throw new DomainError("not-ready", `Whom this would shut out can't be told now: ${error.message}. ${override}`);
    }
  }

  async function overridden({ caller }: WriteTerms, find: FindLockouts): Promise<readonly string[]> {
    try {
      return (await find(await lifelinesOf(caller, "look"))).map(({ message }) => `allowLockout overrides this: ${message}`);
    } catch (error) {
      if (error instanceof DomainError && error.code === "not-ready") return [error.message];
      throw error;
    }
  }

  return {
    async judge(terms, find, rehearses) {
      if (terms.allowLockout === true) return rehearses ? overridden(terms, find) : [];
      const perhaps = await find(await lifelinesOf(terms.caller, "recentLook"));
      if (perhaps.length === 0) return [];
      const lockouts = await find(await lifelinesOf(terms.caller, "look"));
      if (lockouts.length > 0) throw refusal(lockouts);
      return [];
    },
  };
}

/** @throws {DomainError} `insufficient-scope` */
export function assertMayOverride({ caller, allowLockout }: WriteTerms): void {
  if (allowLockout !== true || caller.admin) return;
  throw new DomainError("insufficient-scope", "allowLockout needs the scope admin.");
}

/** Why a ban of `network` would shut somebody out; `undefined` when it would not. */
export function banLockout(network: Network, lifelines: readonly Lifeline[]): string | undefined {
  const text = formatNetwork(network);
  const hit = lifelines.filter((lifeline) => contains(network, lifeline.network));
  if (hit.length > 0) return `A ban of ${text} would shut out ${named(hit)}. ${override}`;
  const widest = widestBan[network.family];
  if (network.prefix >= widest) return undefined;
  return `${text} is wider than /${widest}, and so wide a ban of IPv${network.family} is more likely a mistake. ${override}`;
}

/**
 * Why a policy that is enforced would shut somebody out: by a limit that they exceed now, or that leaves no room beside the request itself.
 * @param countNow the open connections as the policy counts them; asked only where they matter
 */
export async function policyLockout(
  policy: Policy,
  lifelines: readonly Lifeline[],
  protectedNetworks: readonly Network[],
  countNow: () => Promise<PolicyCount>,
): Promise<string | undefined> {
  const needsPort = ({ ports }: Lifeline): boolean => ports.some((port) => policy.ports.includes(port));
  const bansAll = policy.ban?.scope === "host";
  const counted = lifelines.filter(
    (lifeline) =>
      (bansAll || needsPort(lifeline)) && !isExempt(policy, lifeline.network) && !isWithin(lifeline.network, protectedNetworks),
  );
  if (counted.length === 0) return undefined;
  const remedies = "Raise the limit, exempt the address, or begin with the mode observe.";
  const caller = counted.find((lifeline) => lifeline.kind === "caller" && needsPort(lifeline));
  if (caller !== undefined && policy.maxConnections === 1) {
    const ports = caller.ports.filter((port) => policy.ports.includes(port)).join(", ");
    return `A limit of 1 on port ${ports}, where this service listens, would shut out ${named([caller])}. ${remedies} ${override}`;
  }
  const { counts } = await countNow();
  const openOf = (lifeline: Lifeline) => counts.get(formatNetwork(countedNetwork(policy, lifeline.network))) ?? 0;
  const hit = counted.filter((lifeline) => openOf(lifeline) > policy.maxConnections);
  if (hit.length === 0) return undefined;
  const open = Math.max(...hit.map(openOf));
  return `The policy would shut out ${named(hit)}: it would count ${open} open connections as theirs now, and it allows ${policy.maxConnections}. ${remedies} ${override}`;
}

const kinds = {
  caller: "from which this request comes",
  ssh: "which has an SSH connection to this host",
  gateway: "a default gateway of this host",
  own: "an address of this host itself",
} as const satisfies Record<Lifeline["kind"], string>;

/** Of many writers that share a look. */
const known = new WeakMap<HostAccess, readonly Lifeline[]>();

function lifelinesIn(access: HostAccess): readonly Lifeline[] {
  const found = known.get(access) ?? [
    ...lifelines("ssh", access.sshClients, access.sshPorts),
    ...lifelines("gateway", access.gateways, []),
    ...lifelines("own", access.ownAddresses, []),
  ];
  known.set(access, found);
  return found;
}

function lifelines(kind: Lifeline["kind"], addresses: readonly string[], ports: readonly number[]): readonly Lifeline[] {
  return addresses.map((address) => ({ kind, address, network: parseAddress(address), ports }));
}

function named(hit: readonly Lifeline[]): string {
  const distinct = [...Map.groupBy(hit, ({ address }) => address)];
  const names = distinct
    .slice(0, maxNamed)
    .map(([address, same]) => `${address}, ${[...new Set(same.map(({ kind }) => kinds[kind]))].join(" and ")}`);
  const rest = distinct.length - names.length;
  return `${names.join("; ")}${rest > 0 ? `; and ${rest} more` : ""}`;
}

function refusal(lockouts: readonly Lockout[]): DomainError {
  const [first] = lockouts;
  const isList = lockouts.some(({ pointer }) => pointer !== "");
  return isList ? batchError("lockout", lockouts) : new DomainError("lockout", first?.message ?? "");
}
