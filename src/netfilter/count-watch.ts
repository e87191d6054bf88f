import type { Family } from "../domain/network.ts";
import type { Policy } from "../domain/policy.ts";
import type { Clock } from "../domain/ports.ts";
import type { Backend } from "./iptables/backend.ts";
import type { SavedTable } from "./iptables/saved-table.ts";

/** Watches for changes of the table that make the kernel forget how many connections each source has. */
export interface CountWatch {
  /** This service is about to write to the table. */
  written(): void;
  /** The tables as a pass found them, before it writes. */
  seen(tables: Readonly<Record<Family, SavedTable>>, policies: readonly Policy[]): void;
  /** Milliseconds since the epoch; null when it was not seen to happen. */
  forgottenAt(): number | null;
}

/** On the nft backend a rule keeps its counts until that very rule is written anew; on legacy any change of the table ends all of them. */
export function createCountWatch(backend: Backend, clock: Clock): CountWatch {
  let forgottenAt: number | null = null;
  let foreign: string | null = null;
  let counting = false;
  const forget = (): void => {
    if (backend === "legacy" && counting) forgottenAt = clock.now();
  };
  return {
    written: forget,
    seen: (tables, policies) => {
      const now = `${tables[4].foreign} ${tables[6].foreign}`;
      if (foreign !== null && foreign !== now) forget();
      foreign = now;
      counting = policies.some((policy) => policy.mode !== "off") && tables[4].own.size > 0;
    },
    forgottenAt: () => forgottenAt,
  };
}
