import { readFileSync, statSync } from "node:fs";

/**
 * Whether some program holds the lock of the legacy backend, or waits for it, at this moment.
 * @param file the lock file
 */
export function isLockHeld(file: string): boolean {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return false;
  // proc_locks(5): the kernel's number of the device can be another than that of stat(2), on overlayfs for one.
  return readLocks().some((line) => line.includes(" FLOCK ") && line.includes(`:${stats.ino} `));
}

function readLocks(): readonly string[] {
  try {
    return readFileSync("/proc/locks", "utf8").split("\n");
  } catch {
    return [];
  }
}
