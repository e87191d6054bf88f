import { chmodSync, mkdirSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { whereIs } from "./directories.ts";

/** What a program can do other than its work. */
export type ProgramFault = "missing" | "hangs" | "exits with 1" | "exits with 4" | "prints garbage" | "exits with 0 and an error";

/** Stand-ins for some programs, first on a service's PATH: they do their work until they are told something else. */
export interface FaultyPrograms {
  /** For the PATH; none of these programs may be found behind it. */
  readonly directory: string;
  /** What each of them does from its next start on; null: its work. */
  setFault(fault: ProgramFault | null): void;
}

/** A child that holds the outputs open makes a hanging program harder to end. */
const script = (program: string, modeFile: string): string => `#!/bin/sh
read -r mode < ${modeFile}
case $mode in
  hangs) /bin/sleep 60; exec ${program} "$@" ;;
  "exits with 1") exit 1 ;;
  "exits with 4") exit 4 ;;
  "prints garbage") printf 'a\\377\\001 b\\nxyzzy: 17\\n*filler\\n'; exit 0 ;;
  "exits with 0 and an error") echo "Could not fetch rule set generation id: Permission denied (you must be root)" >&2; exit 0 ;;
  *) exec ${program} "$@" ;;
esac
`;

/** @param directory is made */
export async function createFaultyPrograms(directory: string, names: readonly string[]): Promise<FaultyPrograms> {
  const [present, absent, modeFile] = [join(directory, "bin"), join(directory, "no-bin"), join(directory, "mode")];
  mkdirSync(present, { recursive: true });
  for (const name of names) {
    writeFileSync(join(present, name), script(await whereIs(name), modeFile));
    chmodSync(join(present, name), 0o755);
  }
  writeFileSync(modeFile, "work\n");
  let missing = false;
  return {
    directory: present,
    setFault: (fault) => {
      // A half-written file would be an empty mode.
      writeFileSync(`${modeFile}.new`, `${fault ?? "work"}\n`);
      renameSync(`${modeFile}.new`, modeFile);
      // Whoever keeps one running sees that it is another now.
      if (!missing) for (const name of names) utimesSync(join(present, name), new Date(), new Date());
      if (missing !== (fault === "missing")) renameSync(missing ? absent : present, missing ? present : absent);
      missing = fault === "missing";
    },
  };
}
