import { DomainError } from "../domain/errors.ts";
import type { Family } from "../domain/network.ts";
import type { Desired } from "../domain/ports.ts";
import type { FilterTable } from "./iptables/tables.ts";
import type { LastPass } from "./last-pass.ts";
import type { Plan } from "./plan.ts";
import { type Actual, families } from "./planning.ts";
import { testable } from "./testable-lines.ts";

export interface TrialOptions {
  readonly tables: Readonly<Record<Family, Pick<FilterTable, "test">>>;
  readonly last: LastPass;
  /** What a pass would do. @param known the tables, which are not read then; null: they are read */
  readonly foresee: (desired: Desired, known: Actual["tables"] | null) => Promise<Plan>;
}

/**
 * Asks the kernel whether it would accept what is desired. Rejects with `DomainError` `kernel-refused`, or `EnforcementDelayed`.
 * @param assertWanted throws when nobody waits for the answer any more
 */
export type Trial = (desired: Desired, assertWanted: () => void) => Promise<void>;

export function createTrial({ tables, last, foresee }: TrialOptions): Trial {
  const test = async (plan: Plan): Promise<true> => {
    const changed = families.filter((family) => testable(plan, family).length > 0);
    await Promise.all(changed.map((family) => tables[family].test(testable(plan, family))));
    return true;
  };
  return async (desired, assertWanted) => {
    const known = last.tables();
    if (known !== null) {
      const plan = await foresee(desired, known);
      // Only the tables as they are tell whether a change is refused, or does not fit what somebody else has made of them.
      if ((await last.isStillThere(known, plan, desired.policies)) && (await test(plan).catch(ifUnfit(false)))) return;
      assertWanted();
    }
    await test(await foresee(desired, null));
  };
}

/** Somebody else has changed what a plan was made for. */
export class TablesChanged extends Error {
  override readonly name = "TablesChanged";
}

/** For `catch`: `value` where the kernel refuses, or the tables are others; whatever else went wrong is passed on. */
export function ifUnfit<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof TablesChanged || (error instanceof DomainError && error.code === "kernel-refused")) return value;
    throw error;
  };
}
