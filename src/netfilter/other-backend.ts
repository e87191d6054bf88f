import type { Family } from "../domain/network.ts";
import type { RunCommand } from "./command/run.ts";
import { type Backend, legacyTables, programOf } from "./iptables/backend.ts";
import { printedLines } from "./iptables/printed-lines.ts";
import { isOwnJump } from "./iptables/saved-table.ts";
import { diffTable } from "./iptables/table-diff.ts";
import { createFilterTable } from "./iptables/tables.ts";

const families = [4, 6] as const satisfies readonly Family[];

const otherThan = (backend: Backend): Backend => (backend === "nft" ? "legacy" : "nft");

/** What an earlier start with the other backend has left, which would go on refusing. */
export interface LeftRules {
  /** Begins to look for them, unless there are none. @param later leaves it to the next look */
  look(later: boolean): void;
  /** Removes what the last look has found. @throws {EnforcementDelayed} */
  remove(): Promise<void>;
}

export function createLeftRules(backend: Backend, run: RunCommand): LeftRules {
  let none = false;
  /** Undefined while nobody has looked. */
  let found: Promise<boolean | undefined> = Promise.resolve(true);
  return {
    look: (later) => {
      if (!none) found = later ? Promise.resolve(undefined) : hasLeftRules(backend, run).catch(() => true);
    },
    remove: async () => {
      const left = none ? false : await found;
      if (left === true) await removeLeftRules(backend, run);
      none = left !== undefined;
    },
  };
}

/** Removes this service's chains and jump from the tables of a backend. @throws {EnforcementDelayed} */
export async function removeOwnRules(backend: Backend, run: RunCommand): Promise<void> {
  for (const family of families) {
    const table = createFilterTable(family, backend, run);
    const change = diffTable(await table.read(), null, family);
    if (change.lines.length > 0) await table.apply(change.lines);
  }
}

/** The same for the backend that this service does not use, where an earlier start may have left some. @throws {EnforcementDelayed} */
export async function removeLeftRules(backend: Backend, run: RunCommand): Promise<void> {
  if (await hasLeftRules(backend, run)) await removeOwnRules(otherThan(backend), run);
}

/** Whether the backend that this service does not use has rules of this service. */
async function hasLeftRules(backend: Backend, run: RunCommand): Promise<boolean> {
  const left = await Promise.all(families.map((family) => hasRules(family, otherThan(backend), run, isOwnLine)));
  return left.includes(true);
}

/** Whether the backend that this service does not use has rules of others too; packets then meet both. */
export async function otherBackendInUse(backend: Backend, run: RunCommand): Promise<boolean> {
  const other = otherThan(backend);
  const inUse = await Promise.all(families.map((family) => hasRules(family, other, run, (line) => !isOwnLine(line))));
  return inUse.includes(true);
}

async function hasRules(family: Family, backend: Backend, run: RunCommand, among: (line: string) => boolean): Promise<boolean> {
  if (backend === "legacy" && legacyTables(family).length === 0) return false;
  const result = await run(`${programOf(family, backend)}-save`, []);
  return result.exitCode === 0 && printedLines(result.stdout).some((line) => line.startsWith("-A ") && among(line));
}

function isOwnLine(line: string): boolean {
  return line.startsWith("-A CLD-") || isOwnJump(line);
}
