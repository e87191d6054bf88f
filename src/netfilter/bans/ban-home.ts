import { hash } from "node:crypto";
import { type Family, formatNetwork, type Network, parseNetwork } from "../../domain/network.ts";
import { type Policy, policyNamed, type RejectWith } from "../../domain/policy.ts";

/**
 * Where the kernel keeps bans of one kind: an xt_recent list or an ipset. Its name says what its rules need, so that bans made
 * under a policy's earlier terms can be enforced to their end.
 */
export interface BanHome {
  readonly storage: "recent" | "ipset";
  readonly family: Family;
  readonly scope: "host" | "ports";
  /**
   * How long its bans last. Null in an ipset, where each entry has its own time, and in a list of bans that were put back after
   * they were lost: those end when the service takes them out.
   */
  readonly seconds: number | null;
  /** Prefix length in bits by which sources are told apart. */
  readonly prefix: number;
  readonly rejectWith: RejectWith;
  readonly renewOnAttempt: boolean;
  /** `all`, or the fingerprint of exemptions narrower than `prefix`, which the list alone can't tell from the rest of their network. */
  readonly exemptions: string;
  /** For scope `ports`: whose ports. */
  readonly policy: string | null;
}

/** The longest time in seconds that an ipset entry can have. */
export const longestSetTimeout = 2_147_483;

const rejectWords = { "tcp-reset": "reset", "icmp-port-unreachable": "unreach", drop: "drop" } as const;
const listPattern =
  /^cld([46])-(host|ports)-(\d+s|held)-(\d+)-(reset|unreach|drop)-(once|renew)-(all|x[0-9a-f]{8})(?:-([a-z][a-z0-9-]*))?$/;
const hostSetPattern = /^cld([46])-h(\d+)([rud])(?:o|n(\d+))-(all|x[0-9a-f]{8})$/;
const portsSetPattern = /^cld([46])-p(\d+)-([a-z][a-z0-9-]*)$/;

/** The list or set in which the kernel keeps those whom this policy bans; undefined when it bans nobody in this family's terms. */
export function banHomeOf(policy: Policy, family: Family, withSets: boolean): BanHome | undefined {
  const { ban, mode, rejectWith } = policy;
  if (ban === null || mode !== "enforce") return undefined;
  const prefix = countPrefix(policy, family);
  const storage = withSets && ban.seconds <= longestSetTimeout ? "ipset" : "recent";
  return {
    storage,
    family,
    scope: ban.scope,
    seconds: storage === "recent" || ban.renewOnAttempt ? ban.seconds : null,
    prefix,
    rejectWith,
    renewOnAttempt: ban.renewOnAttempt,
    exemptions: exemptionsKey(narrowExemptions(policy, family)),
    policy: ban.scope === "ports" ? policy.name : null,
  };
}

/** The name of the list or set. An ipset's has at most 31 characters, so that one of scope `ports` is known by its policy alone. */
export function banHomeName(home: BanHome): string {
  const { family, prefix, policy, seconds, renewOnAttempt, exemptions } = home;
  const reject = rejectWords[home.rejectWith];
  if (home.storage === "ipset") {
    if (policy !== null) return `cld${family}-p${prefix}-${policy}`;
    return `cld${family}-h${prefix}${reject[0]}${renewOnAttempt ? `n${seconds}` : "o"}-${exemptions}`;
  }
  const length = seconds === null ? "held" : `${seconds}s`;
  const parts = [`cld${family}`, home.scope, length, prefix, reject, renewOnAttempt ? "renew" : "once", exemptions];
  return [...parts, ...(policy === null ? [] : [policy])].join("-");
}

/**
 * What a name stands for; undefined for any other name.
 * @param policies tell the terms that the name of an ipset of scope `ports` leaves open
 */
export function parseBanHomeName(storage: BanHome["storage"], name: string, policies: readonly Policy[]): BanHome | undefined {
  return storage === "recent" ? parseListName(name) : (parseHostSetName(name) ?? parsePortsSetName(name, policies));
}

function parseListName(name: string): BanHome | undefined {
  const [, family, scope, length, prefix, reject, renew, exemptions, policy] = listPattern.exec(name) ?? [];
  const rejectWith = rejectWithOf(reject ?? "");
  if (!rejectWith || exemptions === undefined || (scope === "ports") !== (policy !== undefined)) return undefined;
  return {
    storage: "recent",
    family: family === "4" ? 4 : 6,
    scope: scope === "host" ? "host" : "ports",
    seconds: length === "held" ? null : Number.parseInt(length ?? "", 10),
    prefix: Number(prefix),
    rejectWith,
    renewOnAttempt: renew === "renew",
    exemptions,
    policy: policy ?? null,
  };
}

function parseHostSetName(name: string): BanHome | undefined {
  const [, family, prefix, reject, seconds, exemptions] = hostSetPattern.exec(name) ?? [];
  const rejectWith = rejectWithOf(reject ?? "");
  if (!rejectWith || exemptions === undefined) return undefined;
  const renewal =
    seconds === undefined ? { seconds: null, renewOnAttempt: false } : { seconds: Number(seconds), renewOnAttempt: true };
  return {
    storage: "ipset",
    family: family === "4" ? 4 : 6,
    scope: "host",
    ...renewal,
    prefix: Number(prefix),
    rejectWith,
    exemptions,
    policy: null,
  };
}

function parsePortsSetName(name: string, policies: readonly Policy[]): BanHome | undefined {
  const [, digit, prefix, policyName] = portsSetPattern.exec(name) ?? [];
  if (policyName === undefined) return undefined;
  const family = digit === "4" ? 4 : 6;
  const policy = policyNamed(policies, policyName);
  const renews = policy?.ban?.scope === "ports" && policy.ban.renewOnAttempt;
  return {
    storage: "ipset",
    family,
    scope: "ports",
    seconds: renews ? (policy.ban?.seconds ?? null) : null,
    prefix: Number(prefix),
    rejectWith: policy?.rejectWith ?? "tcp-reset",
    renewOnAttempt: renews,
    exemptions: policy ? exemptionsKey(narrowExemptions(policy, family)) : "all",
    policy: policyName,
  };
}

/** Where a ban of this home is put back: in its set, or in a list without its stamp, where the service ends it. */
export function heldHomeOf(home: BanHome, withSets: boolean): BanHome {
  return home.storage === "ipset" && withSets ? home : { ...home, storage: "recent", seconds: null, renewOnAttempt: false };
}

/** True for the name of a list whose entries the service ends. */
export function isHeldHome(name: string): boolean {
  return parseListName(name)?.seconds === null;
}

/** The prefix length in bits by which this policy tells sources of this family apart. */
export function countPrefix(policy: Policy, family: Family): number {
  return family === 4 ? policy.countPer.ipv4Prefix : policy.countPer.ipv6Prefix;
}

/** The policy's exemptions of this family. */
export function exemptionsOf(policy: Policy, family: Family): readonly Network[] {
  return policy.exempt.map(parseNetwork).filter((network) => network.family === family);
}

/** Those of the policy's exemptions that are only a part of one network that it counts. */
export function narrowExemptions(policy: Policy, family: Family): readonly Network[] {
  const prefix = countPrefix(policy, family);
  return exemptionsOf(policy, family).filter((network) => network.prefix > prefix);
}

function exemptionsKey(exemptions: readonly Network[]): string {
  if (exemptions.length === 0) return "all";
  const text = exemptions.map(formatNetwork).sort().join(" ");
  return `x${hash("sha256", text).slice(0, 8)}`;
}

function rejectWithOf(word: string): RejectWith | undefined {
  return (Object.keys(rejectWords) as RejectWith[]).find((key) => word !== "" && rejectWords[key].startsWith(word));
}
