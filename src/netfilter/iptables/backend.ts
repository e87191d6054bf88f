import { existsSync, readFileSync } from "node:fs";
import type { Family } from "../../domain/network.ts";
import type { RunCommand } from "../command/run.ts";

export type Backend = "nft" | "legacy";

/** The program of one family and backend that is found on the PATH, without an ending: `iptables-nft` and the like. */
export const programOf = (family: Family, backend: Backend): string => `${family === 4 ? "iptables" : "ip6tables"}-${backend}`;

/** The tables of a family that the legacy backend has in this network namespace; to ask its program for another would make the kernel set that up. */
export function legacyTables(family: Family): readonly string[] {
  const names = `/proc/net/${family === 4 ? "ip" : "ip6"}_tables_names`;
  return existsSync(names) ? readFileSync(names, "utf8").split("\n").filter(Boolean) : [];
}

/** A program that is needed is missing, or does not say what it is. The message says how to get it. */
export class BackendMissingError extends Error {
  override readonly name = "BackendMissingError";
}

/**
 * Finds out which backend to use: the one that is asked for, or for `auto` the one that `iptables` on this host is. Its version is asked for
 * by whoever wants to know it first.
 * @param isThere whether a program is found on the PATH
 * @throws {BackendMissingError}
 */
export async function detectBackend(
  wanted: Backend | "auto",
  run: RunCommand,
  isThere: (program: string) => boolean,
): Promise<{ readonly backend: Backend; readonly version: () => Promise<string> }> {
  const backend = wanted === "auto" ? await hostBackend(run) : wanted;
  const families = [4, 6] as const;
  const programs = families.flatMap((family) => ["-restore", "-save"].map((ending) => `${programOf(family, backend)}${ending}`));
  const absent = programs.find((program) => !isThere(program));
  if (absent !== undefined) throw new BackendMissingError(missing(absent));
  let known = "";
  const version = async (): Promise<string> => {
    known ||= await versionOf(`${programOf(4, backend)}-restore`, run);
    return known;
  };
  return { backend, version };
}

async function versionOf(program: string, run: RunCommand): Promise<string> {
  const { stdout } = await run(program, ["--version"]);
  return /v(\d[\w.]*)/.exec(stdout)?.[1] ?? "";
}

async function hostBackend(run: RunCommand): Promise<Backend> {
  const answer = await run("iptables", ["--version"]);
  if (answer.failure === "not-found") throw new BackendMissingError(missing("iptables"));
  if (answer.stdout.includes("(nf_tables)")) return "nft";
  if (answer.stdout.includes("(legacy)")) return "legacy";
  throw new BackendMissingError(
    `'iptables --version' says ${JSON.stringify((answer.stdout || answer.stderr).trim().slice(0, 100))}, neither nf_tables nor legacy; set CONNLIMITD_BACKEND to nft or legacy`,
  );
}

function missing(program: string): string {
  return `the program ${program} is missing: install Debian's package iptables (apt-get install iptables), and let PATH contain /usr/sbin`;
}
