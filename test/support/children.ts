import { readdirSync, readFileSync } from "node:fs";

/** The numbers of the processes that a process has started and that run on. */
export function childrenOf(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean),
  );
}

/** The name of the program that a process runs, as far as the kernel keeps it: 15 characters. */
export function nameOf(pid: string): string {
  return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
}
