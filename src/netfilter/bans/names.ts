import type { Family } from "../../domain/network.ts";
import type { Policy } from "../../domain/policy.ts";
import { countPrefix } from "./ban-home.ts";

/** A list (and, where ipset is there, a set) of the sources seen over one policy's limit. */
export interface OffenderList {
  readonly family: Family;
  readonly prefix: number;
  readonly policy: string;
}

/** What sources are told apart by, as one word: lists and sets of one kind can hold the same entries. */
export function kindOf({ family, prefix }: Pick<OffenderList, "family" | "prefix">): string {
  return `${family}/${prefix}`;
}

const offenderListPattern = /^cld([46])-(?:who-|w)(\d+)-([a-z][a-z0-9-]*)$/;

/** Operators' bans of one family, list and set alike: never written to by packets, so that packets can't push one out. */
export const operatorName = (family: Family): string => `cld${family}-operator`;

/** A list that no packet meets: writing to it tells the kernel's time, its presence that nobody flushed. */
export const canaryName = (family: Family): string => `cld${family}-canary`;

/** A list that every packet over any limit stamps: a new stamp says that some list of bans has changed. */
export const activityName = (family: Family): string => `cld${family}-activity`;

/** The set of those whom no policy may ban for a while. */
export const graceSetName = (family: Family): string => `cld${family}-grace`;

/** The same as a list, which knows one prefix length only. */
export const graceListName = (family: Family, prefix: number): string => `cld${family}-grace-${prefix}`;

export const offenderListName = ({ family, prefix, policy }: OffenderList): string => `cld${family}-who-${prefix}-${policy}`;

export const offenderSetName = ({ family, prefix, policy }: OffenderList): string => `cld${family}-w${prefix}-${policy}`;

export function offenderListOf(policy: Policy, family: Family): OffenderList {
  return { family, prefix: countPrefix(policy, family), policy: policy.name };
}

/** What the name of an offender list or set stands for; undefined for any other name. */
export function parseOffenderName(name: string): OffenderList | undefined {
  const [, family, prefix, policy] = offenderListPattern.exec(name) ?? [];
  return policy === undefined ? undefined : { family: family === "4" ? 4 : 6, prefix: Number(prefix), policy };
}
