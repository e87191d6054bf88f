import { access, chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createDirectory } from "../../test/support/directories.ts";

/** Programs that note each of their starts. */
export interface CountedPrograms {
  /** For the environment of the service. */
  readonly path: string;
  /** The command lines since the last call, oldest first: name and arguments. */
  starts(): Promise<readonly string[]>;
  remove(): void;
}

const names = ["iptables", "ip6tables"].flatMap((name) => [`${name}-nft-restore`, `${name}-legacy-restore`]).concat("ipset");

/** Puts programs of the same names before the real ones, which write down that they were started and become these. */
export async function countPrograms(): Promise<CountedPrograms> {
  const directory = await createDirectory();
  const [bin, log] = [join(directory.path, "bin"), join(directory.path, "starts")];
  await mkdir(bin);
  for (const name of names) {
    const file = join(bin, name);
    await writeFile(file, `#!/bin/sh\necho "${name} $*" >> ${log}\nexec ${await whereIs(name)} "$@"\n`);
    await chmod(file, 0o755);
  }
  await writeFile(log, "");
  return {
    path: `${bin}${delimiter}${process.env["PATH"]}`,
    async starts() {
      const text = await readFile(log, "utf8");
      await writeFile(log, "");
      return text.split("\n").filter(Boolean);
    },
    remove: () => directory.remove(),
  };
}

async function whereIs(name: string): Promise<string> {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    const file = join(directory, name);
    const found = await access(file).then(
      () => true,
      () => false,
    );
    if (found) return file;
  }
  throw new Error(`there is no program ${name} on this machine`);
}
