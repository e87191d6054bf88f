import type { KernelBan } from "../../src/domain/ban.ts";
import type { Desired, Firewall, Glance, PassReport } from "../../src/domain/ports.ts";

/** A pass that the firewall was asked for. */
export interface Pass {
  readonly kind: "rules" | "bans" | "fresh-bans";
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
  let [atOnce, mostAtOnce, glances] = [0, 0, 0];

  const pass = async (kind: Pass["kind"], desired: Desired): Promise<PassReport> => {
    passes.push({ kind, desired });
    atOnce += 1;
    mostAtOnce = Math.max(mostAtOnce, atOnce);
    await gate;
    atOnce -= 1;
    if (failure !== undefined) throw failure;
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
    check: async () => undefined,
    plan: async () => ({ ipv4: [], ipv6: [], recent: [], ipset: [] }),
    converge: (desired) => pass("rules", desired),
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
