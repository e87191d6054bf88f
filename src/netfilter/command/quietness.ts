import { readFileSync } from "node:fs";

/** Milliseconds between two looks at a program that runs. */
const lookInterval = 200;
/** So many looks without a sign of life: longer than the second that iptables waits for its lock without doing anything. */
const quietLooks = 5;

/**
 * Calls back once when a program does nothing any more: neither it nor its children have run, or waited for their turn, for a
 * second. One that is slow because the host is busy is never taken for such a one.
 * @returns ends the watch
 */
export function onceQuiet(pid: number, callback: () => void): () => void {
  let before: string | undefined;
  let unchanged = 0;
  const timer = setInterval(() => {
    const now = activityOf(pid);
    unchanged = now !== undefined && now === before ? unchanged + 1 : 0;
    before = now;
    if (unchanged < quietLooks) return;
    clearInterval(timer);
    callback();
  }, lookInterval);
  return () => clearInterval(timer);
}

/** Another text whenever the process or one of its children has run or has waited for a CPU; undefined where the kernel does not tell. */
function activityOf(pid: number): string | undefined {
  const times = textOf(`/proc/${pid}/schedstat`);
  if (times === undefined) return undefined;
  const children = (textOf(`/proc/${pid}/task/${pid}/children`) ?? "").split(" ").filter(Boolean).map(Number);
  return [pid, times.trim(), ...children.map(activityOf)].join(" ");
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    // It has ended meanwhile, or this kernel has no such file.
    return undefined;
  }
}
