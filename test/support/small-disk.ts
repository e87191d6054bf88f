import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { removeAtExit } from "./leftovers.ts";

/** Makes `directory` a file system of 16 MiB; the result takes it away. */
export async function mountSmallDisk(directory: string): Promise<() => Promise<void>> {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=16m,mode=0700", "connlimitd-test", directory]);
  return unmountAtExit(directory);
}

/** Makes `directory` read-only, also for root; the result takes that back. */
export async function makeReadOnly(directory: string): Promise<() => Promise<void>> {
  execFileSync("mount", ["--bind", directory, directory]);
  execFileSync("mount", ["-o", "remount,bind,ro", directory]);
  return unmountAtExit(directory);
}

function unmountAtExit(directory: string): () => Promise<void> {
  const unmount = (): void => void execFileSync("umount", ["--lazy", directory]);
  const takeBack = removeAtExit(unmount);
  return async () => {
    if (takeBack()) unmount();
  };
}
