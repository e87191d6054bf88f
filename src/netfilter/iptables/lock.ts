import { readFile, statSync } from "node:fs";
import { promisify } from "node:util";

/**
 * Whether some program holds the lock of the legacy backend, or waits for it, at this moment. The kernel lists locks when all its readers of shared data are
 * through, for one who walks over hundreds of thousands of tracked connections 40 to 80 ms later, so that it is read by another thread.
 * @param path the lock file; on a file system whose files have another device for stat(2) than for proc_locks(5) it is never seen to be held
 */
export async function isLockHeld(path: string): Promise<boolean> {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return false;
  const file = `${hexadecimal(majorOf(stats.dev))}:${hexadecimal(minorOf(stats.dev))}:${stats.ino}`;
  return (await readLocks()).some((line) => line.includes(" FLOCK ") && line.includes(` ${file} `));
}

/** As makedev(3) puts them together. */
function majorOf(device: number): number {
  return (device >>> 8) & 0xfff;
}

function minorOf(device: number): number {
  return (device & 0xff) | ((device >>> 12) & 0xfff00);
}

function hexadecimal(number: number): string {
  return number.toString(16).padStart(2, "0");
}

async function readLocks(): Promise<readonly string[]> {
  try {
    return (await promisify(readFile)("/proc/locks", "utf8")).split("\n");
  } catch {
    return [];
  }
}
