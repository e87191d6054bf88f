import { access, chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createDirectory } from "../../test/support/directories.ts";

/** What was asked of the programs, whether each request started one or went to one that reads on. */
export interface Requests {
  /** Changes of the IPv4 table. */
  readonly restores: number;
  /** Changes of it that were only tested. */
  readonly tests: number;
  /** Changes of either table, and lines that change sets. */
  readonly writes: number;
}

/** Programs that note what they are asked. */
export interface CountedPrograms {
  /** For the environment of the service. */
  readonly path: string;
  /** Since the last call. */
  requests(): Promise<Requests>;
  remove(): void;
}

const restorers = (["nft", "legacy"] as const).flatMap((backend) =>
  ["iptables", "ip6tables"].map((name) => `${name}-${backend}-restore`),
);

/** Puts programs of the same names before the real ones, which write down what they read and hand it on. */
export async function countPrograms(): Promise<CountedPrograms> {
  const directory = await createDirectory();
  const bin = join(directory.path, "bin");
  const logOf = (name: string, kind: string): string => join(directory.path, `${name}.${kind}`);
  await mkdir(bin);
  for (const name of [...restorers, "ipset"]) {
    const [file, real] = [join(bin, name), await whereIs(name)];
    const script = [
      "#!/bin/sh",
      `case "$*" in save* | list* | *--version*) exec ${real} "$@" ;; *--test*) kind=tested ;; *) kind=written ;; esac`,
      `case "$1" in destroy) echo "$*" >> ${logOf(name, "written")} ;; esac`,
      `tee -a ${logOf(name, "$kind")} | ${real} "$@"`,
      "",
    ];
    await writeFile(file, script.join("\n"));
    await chmod(file, 0o755);
  }
  const take = async (name: string, kind: string): Promise<string> => {
    const text = await readFile(logOf(name, kind), "utf8").catch(() => "");
    await writeFile(logOf(name, kind), "");
    return text;
  };
  const changesOf = async (names: readonly string[], kind: string): Promise<number> => {
    const texts = await Promise.all(names.map((name) => take(name, kind)));
    return texts.join("").match(/^\*filter\n(?!-S\n)/gm)?.length ?? 0;
  };
  return {
    path: `${bin}${delimiter}${process.env["PATH"]}`,
    async requests() {
      const isFour = (name: string): boolean => name.startsWith("iptables");
      const four = await changesOf(restorers.filter(isFour), "written");
      const six = await changesOf(
        restorers.filter((name) => !isFour(name)),
        "written",
      );
      // The probe, which makes sets of its own and destroys them, leaves nothing.
      const sets = (await take("ipset", "written")).match(/^(create|add|del|destroy|flush) (?!cld\d-probe)/gm)?.length ?? 0;
      return { restores: four, tests: await changesOf(restorers.filter(isFour), "tested"), writes: four + six + sets };
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
