import type { KernelFacts, ListFill } from "../../domain/inspection.ts";
import type { DomainStatus } from "../../domain/services.ts";
import { formatTime } from "../fields.ts";

/** Every kind of warning, the gravest first. */
export const warningCodes = [
  "not-in-step",
  "both-backends",
  "rules-above",
  "counts-forgotten",
  "lists-nearly-full",
  "no-ipset",
  "small-lists",
  "no-severing",
] as const;

export type WarningCode = (typeof warningCodes)[number];

/** Something that may need a person, and what to do about it. */
export interface Warning {
  readonly code: WarningCode;
  readonly message: string;
  readonly remedy: string;
}

/** A list is nearly full when it is fuller than this part of its capacity. */
const nearlyFull = 0.8;
/** Entries of an xt_recent list below which one busy hour can fill it; its default is 100. */
const smallCapacity = 1000;
const maxNamed = 5;

type Check = (status: DomainStatus, facts: KernelFacts) => Omit<Warning, "code"> | undefined;

const checks: Readonly<Record<WarningCode, Check>> = {
  "not-in-step": ({ inStep, failure }) =>
    inStep
      ? undefined
      : {
          message: `The kernel is not in step with the store: ${failure ?? "the reason is not known"}.`,
          remedy:
            "The service keeps trying. Where the reason stays, remove it: end the tool that holds the xtables lock, install the missing program or module, and see the log.",
        },
  "both-backends": (_status, { backend, otherBackendInUse }) =>
    otherBackendInUse
      ? {
          message: `This service uses iptables-${backend}, and the ${otherOf(backend)} backend has rules too: packets meet both, and iptables-save shows one of them only.`,
          remedy: `Move the other rules to one backend (iptables-${otherOf(backend)}-save | iptables-${backend}-restore --noflush, then flush them there), or set CONNLIMITD_BACKEND=${otherOf(backend)} and restart the service.`,
        }
      : undefined,
  "rules-above": ({ shadowedBy }) =>
    shadowedBy.length > 0
      ? {
          message: `${countOf(shadowedBy, "rule")} of others ${shadowedBy.length === 1 ? "is" : "are"} asked before this service's and could accept or drop a packet first: ${named(shadowedBy)}.`,
          remedy:
            "Append these rules (iptables -A) or insert them below this service's jump (iptables -I INPUT 2), and delete them where they are now. Those in the tables raw and mangle always come first: keep them only if they are meant to.",
        }
      : undefined,
  "counts-forgotten": ({ overLimit }, { backend, countsForgottenAt }) =>
    backend === "legacy" && countsForgottenAt !== null
      ? {
          message: `A change of the filter table at ${formatTime(countsForgottenAt)} made the kernel forget how many connections each source has: those that were open before are not counted. ${above(new Set(overLimit.map(({ source }) => source)).size)}`,
          remedy:
            "Prefer the nft backend, which keeps the counts (CONNLIMITD_BACKEND=nft); with legacy, change the filter table as rarely as possible. `overLimit` names the sources that are above a limit: a ban ends their connections.",
        }
      : undefined,
  "lists-nearly-full": ({ bans }, { lists, withoutSets }) => {
    // Where there are ipsets, they take what a list has no room for.
    const full = lists.filter((list) => (withoutSets !== null || list.kind === "ipset") && isNearlyFull(list));
    if (full.length === 0) return undefined;
    const fills = full.map(({ name, entries, capacity }) => `${name} has ${entries} of ${capacity}`);
    return {
      message: `${countOf(full, "list")} of the kernel ${full.length === 1 ? "is" : "are"} nearly full: ${named(fills)}.`,
      remedy: `For operators' bans: ${bans.remedy}. For the bans of a policy: a shorter ban.seconds or a shorter countPer prefix, so that there are fewer of them at once.`,
    };
  },
  "no-ipset": (_status, { withoutSets }) =>
    withoutSets === null
      ? undefined
      : {
          message: `There are no ipsets: ${withoutSets}. Networks can't be banned, and a list that is full loses its oldest ban of a policy.`,
          remedy:
            "Install the program (apt install ipset, dnf install ipset), load the modules (modprobe ip_set_hash_net xt_set), and restart the service.",
        },
  "no-severing": (_status, { missingPrograms }) =>
    missingPrograms.length > 0
      ? {
          message: `The programs that end open connections are missing: ${missingPrograms.join(", ")}. A ban refuses their packets all the same; \`severed\` is null.`,
          remedy: "Install Debian's packages conntrack and iproute2.",
        }
      : undefined,
  "small-lists": ({ bans }, { withoutSets }) => {
    const capacity = Math.min(bans.ipv4.capacity, bans.ipv6.capacity);
    if (withoutSets === null || capacity >= smallCapacity) return undefined;
    return {
      message: `An xt_recent list holds ${capacity} addresses here, and there is no ipset to take more.`,
      remedy:
        "Install ipset, or put `options xt_recent ip_list_tot=4096` in /etc/modprobe.d/connlimitd.conf (deploy/ has the file) and load the module anew.",
    };
  },
};

/** What may need a person, the gravest first; each kind once. */
export function warningsOf(status: DomainStatus, facts: KernelFacts): readonly Warning[] {
  return warningCodes.flatMap((code) => {
    const warning = checks[code](status, facts);
    return warning === undefined ? [] : [{ code, ...warning }];
  });
}

function isNearlyFull({ entries, capacity }: ListFill): boolean {
  return entries > nearlyFull * capacity;
}

function otherOf(backend: KernelFacts["backend"]): KernelFacts["backend"] {
  return backend === "nft" ? "legacy" : "nft";
}

function above(sources: number): string {
  if (sources === 0) return "No source is above a limit now.";
  return `${sources} ${sources === 1 ? "source is" : "sources are"} above a limit now.`;
}

function countOf(items: readonly unknown[], noun: string): string {
  return `${items.length} ${noun}${items.length === 1 ? "" : "s"}`;
}

function named(texts: readonly string[]): string {
  const more = texts.length > maxNamed ? [`and ${texts.length - maxNamed} more`] : [];
  return [...texts.slice(0, maxNamed), ...more].join("; ");
}
