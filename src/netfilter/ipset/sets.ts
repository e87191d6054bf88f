import { EnforcementDelayed } from "../../domain/ports.ts";
import type { RunCommand } from "../command/run.ts";
import { parseSavedSets, parseSetSizes, type SavedSet } from "./saved-sets.ts";

/** The only way to ipset. */
export interface IpSets {
  /** Null where ipset works; otherwise why it does not, with the remedy. */
  unavailable(): Promise<string | null>;
  /** This service's own sets with their entries. @throws {EnforcementDelayed} when they can't be read now */
  read(): Promise<ReadonlyMap<string, SavedSet>>;
  /** How many entries each of them has: cheap, however many those are. @throws {EnforcementDelayed} */
  sizes(): Promise<ReadonlyMap<string, number>>;
  /** Runs the lines in one process; a line that fails stops those after it. @throws {EnforcementDelayed} */
  restore(lines: readonly string[]): Promise<void>;
  /** Destroys the sets; the result names those that rules of others keep. @throws {EnforcementDelayed} when ipset can't be started */
  destroy(names: readonly string[]): Promise<readonly string[]>;
}

const remedy = "install Debian's package ipset, and load the modules ip_set, ip_set_hash_net, ip_set_hash_ip and xt_set";

export function createIpSets(run: RunCommand): IpSets {
  const restore: IpSets["restore"] = async (lines) => {
    const result = await run("ipset", ["restore", "-exist"], `${lines.join("\n")}\n`);
    if (result.exitCode === 0) return;
    throw new EnforcementDelayed(`ipset restore fails: ${oneLine(result.stderr || result.failure || "no message")}`);
  };
  return {
    unavailable: async () => {
      const result = await run("ipset", ["list", "-n"]);
      if (result.failure === "not-found") return `the program ipset is missing: ${remedy}`;
      if (result.exitCode === 0) return probe(run);
      return `ipset does not work here (${oneLine(result.stderr || result.failure || "no message")}): ${remedy}`;
    },
    read: async () => {
      const result = await run("ipset", ["save"]);
      if (result.exitCode !== 0)
        throw new EnforcementDelayed(`ipset save fails: ${oneLine(result.stderr || result.failure || "no message")}`);
      return parseSavedSets(result.stdout);
    },
    sizes: async () => {
      const result = await run("ipset", ["list", "-terse"]);
      if (result.exitCode !== 0)
        throw new EnforcementDelayed(`ipset list fails: ${oneLine(result.stderr || result.failure || "no message")}`);
      return parseSetSizes(result.stdout);
    },
    restore,
    destroy: async (names) => {
      try {
        await restore(names.map((name) => `destroy ${name}`));
        return [];
      } catch (error) {
        if (!(error instanceof EnforcementDelayed)) throw error;
      }
      const stuck: string[] = [];
      for (const name of names) {
        const result = await run("ipset", ["destroy", name]);
        if (result.exitCode === null)
          throw new EnforcementDelayed(`ipset destroy fails: ${result.failure ?? "ended by a signal"}`);
        if (result.exitCode !== 0 && !/does not exist/.test(result.stderr)) stuck.push(name);
      }
      return stuck;
    },
  };
}

/** Whether the kernel has the types of set that are needed: makes one of each and destroys it. */
async function probe(run: RunCommand): Promise<string | null> {
  const types = {
    "cld4-probe-net": "hash:net family inet timeout 0",
    "cld6-probe-ip": "hash:ip family inet6 netmask 64 timeout 0",
  };
  const lines = Object.entries(types).flatMap(([name, words]) => [`create ${name} ${words}`, `destroy ${name}`]);
  const result = await run("ipset", ["restore", "-exist"], `${lines.join("\n")}\n`);
  if (result.exitCode === 0) return null;
  return `ipset has no sets of the types that are needed (${oneLine(result.stderr || result.failure || "no message")}): ${remedy}`;
}

function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, " ").slice(0, 300);
}
