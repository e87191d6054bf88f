import { DomainError } from "../domain/errors.ts";
import type { Policy } from "../domain/policy.ts";
import type { Desired, Firewall, PassReport } from "../domain/ports.ts";

/** What a pass left where the kernel refuses some policies. */
export interface Sifted {
  readonly report: PassReport;
  /** The names of the policies that were left out, each with the kernel's message. */
  readonly refused: ReadonlyMap<string, string>;
}

/** Brings the kernel in step with all that it takes, so that one policy that it refuses does not leave the host without the others. */
export interface Sieve {
  /** @throws {DomainError} `kernel-refused` when the kernel refuses the rules without any policy too @throws {EnforcementDelayed} */
  converge(desired: Desired): Promise<Sifted>;
}

export function createSieve(firewall: Pick<Firewall, "check" | "converge">): Sieve {
  let known: ReadonlyMap<Policy, string> = new Map();

  const convergeWithout = async (desired: Desired, refused: ReadonlyMap<Policy, string>): Promise<Sifted> => {
    const names = new Map([...refused].map(([{ name }, message]) => [name, message]));
    return { report: await firewall.converge({ ...desired, withheld: new Set(names.keys()) }), refused: names };
  };

  /** Asks about the whole, and where it is refused about each half. */
  const search = async (desired: Desired): Promise<ReadonlyMap<Policy, string>> => {
    const refused = new Map<Policy, string>();
    const undecided = new Set(desired.policies);
    const sift = async (candidates: readonly Policy[]): Promise<void> => {
      for (const policy of candidates) undecided.delete(policy);
      const withheld = new Set([...refused.keys(), ...undecided].map(({ name }) => name));
      const message = await refusalOf(() => firewall.check({ ...desired, withheld }));
      if (message === null) return;
      const [only, ...others] = candidates;
      if (only !== undefined && others.length === 0) {
        refused.set(only, message);
        return;
      }
      for (const policy of candidates) undecided.add(policy);
      const middle = Math.ceil(candidates.length / 2);
      await sift(candidates.slice(0, middle));
      await sift(candidates.slice(middle));
    };
    if (desired.policies.length > 0) await sift(desired.policies);
    return refused;
  };

  return {
    converge: async (desired) => {
      const before = new Map([...known].filter(([policy]) => desired.policies.includes(policy)));
      if (before.size > 0) {
        const outcome = await orRefusal(() => convergeWithout(desired, before));
        if (typeof outcome !== "string") return outcome;
      }
      const found = await search(desired);
      const outcome = await orRefusal(() => convergeWithout(desired, found));
      if (typeof outcome !== "string") {
        known = found;
        return outcome;
      }
      // It takes each of them on trial, and not when it counts: the bans at least are to hold.
      known = new Map(desired.policies.map((policy) => [policy, outcome]));
      return convergeWithout(desired, known);
    },
  };
}

async function refusalOf(action: () => Promise<void>): Promise<string | null> {
  const outcome = await orRefusal(action);
  return typeof outcome === "string" ? outcome : null;
}

/** What the action resolves with, or the message with which the kernel refuses it. */
async function orRefusal<T>(action: () => Promise<T>): Promise<T | string> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof DomainError && error.code === "kernel-refused") return error.message;
    throw error;
  }
}
