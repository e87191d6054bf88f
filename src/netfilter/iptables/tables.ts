import { DomainError } from "../../domain/errors.ts";
import type { Family } from "../../domain/network.ts";
import { EnforcementDelayed } from "../../domain/ports.ts";
import type { CommandResult, RunCommand } from "../command/run.ts";
import { type Backend, programOf } from "./backend.ts";
import { parseSavedTable, type SavedTable, SaveOutputError } from "./saved-table.ts";

/** The filter table of one family. */
export interface FilterTable {
  /** @throws {EnforcementDelayed} when the list can't be had now */
  read(): Promise<SavedTable>;
  /** Asks whether the lines would be accepted. @throws {DomainError} `kernel-refused` @throws {EnforcementDelayed} */
  test(lines: readonly string[]): Promise<void>;
  /** Applies the lines, all or none. @throws {DomainError} `kernel-refused` @throws {EnforcementDelayed} */
  apply(lines: readonly string[]): Promise<void>;
}

/** iptables' exit code for a lock that another program holds; the nft variant also ends with it when the kernel refuses a rule. */
const resourceProblem = 4;
const tryAgain = /\block\b|temporarily unavailable|try again/i;
/** Seconds that iptables waits for the legacy lock before it gives up. */
const lockWait = "1";

export function createFilterTable(family: Family, backend: Backend, run: RunCommand): FilterTable {
  const program = programOf(family, backend);
  const restore = async (lines: readonly string[], extra: readonly string[]): Promise<void> => {
    const name = `${program}-restore`;
    const result = await run(name, ["--noflush", "-w", lockWait, ...extra], `${lines.join("\n")}\n`);
    if (result.exitCode === 0 && !result.failure) return;
    assertAnswered(name, result);
    throw new DomainError("kernel-refused", `${name} refuses: ${said(result)}`);
  };
  return {
    read: async () => {
      const name = `${program}-save`;
      const result = await run(name, ["-t", "filter"]);
      assertAnswered(name, result);
      const silent = result.stdout.trim() === "" && result.stderr.trim() !== "";
      if (result.exitCode !== 0 || silent) throw new EnforcementDelayed(`${name} fails: ${said(result)}`);
      try {
        return parseSavedTable(result.stdout);
      } catch (error) {
        if (error instanceof SaveOutputError) throw new EnforcementDelayed(`${name}: ${error.message}`);
        throw error;
      }
    },
    test: (lines) => restore(lines, ["--test"]),
    apply: (lines) => restore(lines, []),
  };
}

function assertAnswered(program: string, result: CommandResult): void {
  if (result.failure === "not-found") throw new EnforcementDelayed(`the program ${program} is missing`);
  if (result.failure !== undefined) throw new EnforcementDelayed(`${program} did not answer: ${result.failure}`);
  if (result.exitCode === null) throw new EnforcementDelayed(`${program} was ended by a signal`);
  if (result.exitCode === resourceProblem && tryAgain.test(result.stderr))
    throw new EnforcementDelayed(`${program} could not get the lock: ${said(result)}`);
}

/** The program's own message, on one line. */
function said(result: CommandResult): string {
  const text = result.stderr.trim() || result.stdout.trim() || `exit code ${result.exitCode}`;
  return text.replace(/\s+/g, " ").slice(0, 500);
}
