import { rmSync } from "node:fs";
import { access, mkdir, mkdtemp, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { removeAtExit } from "./leftovers.ts";

/** A directory of a test's own. */
export interface TemporaryDirectory {
  readonly path: string;
  remove(): void;
}

export async function createDirectory(): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), "cld-test-"));
  const removeNow = () => rmSync(path, { recursive: true, force: true });
  const takeBack = removeAtExit(removeNow);
  return {
    path,
    remove() {
      takeBack();
      removeNow();
    },
  };
}

/** Runs `work` with a directory of its own, for a state that outlives a service. */
export async function withDirectory(work: (path: string) => Promise<void>): Promise<void> {
  const directory = await createDirectory();
  try {
    await work(directory.path);
  } finally {
    directory.remove();
  }
}

/** Makes `path` a directory with links to these programs, and to no others; resolves with it. @throws {Error} when one is missing */
export async function linkPrograms(path: string, names: readonly string[]): Promise<string> {
  await mkdir(path);
  await Promise.all(names.map(async (name) => symlink(await whereIs(name), join(path, name))));
  return path;
}

/** The path of a program that is on the PATH. @throws {Error} when there is none */
export async function whereIs(name: string): Promise<string> {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(directory, name);
    const found = await access(path).then(
      () => true,
      () => false,
    );
    if (found) return path;
  }
  throw new Error(`there is no program ${name} on this machine`);
}
