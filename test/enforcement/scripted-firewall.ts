import type { KernelBan } from "../../src/domain/ban.ts";
import { DomainError } from "../../src/domain/errors.ts";
import type { Desired, Firewall, Glance, PassReport } from "../../src/domain/ports.ts";

import type { PassScope } from "../../src/enforcement/pass.ts";

/** A pass that the firewall was asked for. */
export interface Pass {
  readonly kind: PassScope;
  readonly desired: Desired;
}

export interface ScriptedFirewall extends Firewall {
  /** Every pass that began, oldest first. */
  readonly passes: readonly Pass[];
  /** How many passes run at once at most; more than one is a mistake. */
  readonly mostAtOnce: number;
  readonly glances: number;
  readonly recalled: readonly KernelBan[];
  /** From now on passes fail with `error`; `undefined`: they succeed. */
  fail(error: unknown): void;
  /** From now on the kernel refuses rules with these policies among them. */
  refuse(...names: readonly string[]): void;
  /** How often it was asked whether it would accept rules. */
  readonly checks: number;
  /** What the passes from now on report; what is left out is as in a kernel that is in step and bans nobody. */
  report(report: Partial<PassReport>): void;
  /** What glances see from now on; the next pass that succeeds ends a flush and activity, unless it is `lasting`. */
  see(glance: Partial<Glance>, lasting?: boolean): void;
  /** From now on glances fail with `error`. */
  failGlances(error: Error): void;
  /** From now on passes begin and don't end until the result is called; it ends them all. */
  hold(): () => void;
}

const inStep: PassReport = { writes: 0, found: [], kernelBans: [], imprecise: false, nextEnd: null };
const quiet: Glance = { flushed: false, activity: false };

export function createScriptedFirewall(): ScriptedFirewall {
  const passes: Pass[] = [];
  let recalled: readonly KernelBan[] = [];
  let failure: unknown;
  let blindness: Error | undefined;
  let outcome = inStep;
  let seen = { glance: quiet, lasting: false };
  let gate: Promise<void> = Promise.resolve();
  let [atOnce, mostAtOnce, glances, checks] = [0, 0, 0, 0];
  let refused: readonly string[] = [];

  const judge = ({ policies, withheld }: Desired): void => {
    const [bad] = policies.filter(({ name }) => refused.includes(name) && withheld?.has(name) !== true);
    if (bad !== undefined) throw new DomainError("kernel-refused", `line ${bad.name} failed`);
  };

  const pass = async (kind: Pass["kind"], desired: Desired): Promise<PassReport> => {
    passes.push({ kind, desired });
    atOnce += 1;
    mostAtOnce = Math.max(mostAtOnce, atOnce);
    await gate;
    atOnce -= 1;
    if (failure !== undefined) throw failure;
    if (kind === "rules" || kind === "changes") judge(desired);
    if (!seen.lasting) seen = { glance: quiet, lasting: false };
    return outcome;
  };

  return {
    passes,
    get mostAtOnce() {
      return mostAtOnce;
    },
    get glances() {
      return glances;
    },
    get recalled() {
      return recalled;
    },
    fail: (error) => {
      failure = error;
    },
    refuse: (...names) => {
      refused = names;
    },
    get checks() {
      return checks;
    },
    report: (report) => {
      outcome = { ...inStep, ...report };
    },
    see: (glance, lasting = false) => {
      seen = { glance: { ...quiet, ...glance }, lasting };
    },
    failGlances: (error) => {
      blindness = error;
    },
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return () => {
        gate = Promise.resolve();
        resolve();
      };
    },
    recall: (bans) => {
      recalled = bans;
    },
    check: async (desired) => {
      checks += 1;
      judge(desired);
    },
    plan: async () => ({ ipv4: [], ipv6: [], recent: [], ipset: [] }),
    converge: (desired, extent = "whole") => pass(extent === "whole" ? "rules" : extent, desired),
    convergeBans: (desired, fresh) => pass(fresh ? "fresh-bans" : "bans", desired),
    glance: () => {
      glances += 1;
      if (blindness !== undefined) throw blindness;
      return seen.glance;
    },
    view: async () => ({ operatorBans: new Set(), policyBans: [], offenders: () => [] }),
    banRoom: () => ({ capacity: 100, networks: true, remedy: "" }),
    countsForgottenAt: () => null,
    position: async () => ({ shadowedBy: [], inPlace: true }),
  };
}
