// What the service really sends to the kernel: programs that copy their input, and lists compared before and after.
import { readdirSync, readFileSync, truncateSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { SocketAddress } from "node:net";
import { join } from "node:path";
import type { WritePlan } from "../support/foresight.ts";
import { type Backend, program } from "../support/kernel.ts";
import type { Network } from "../support/namespaces.ts";

/** Stand-ins for the programs that write; they go on to the real ones. */
export interface Recorders {
  /** For the environment of the service. */
  readonly env: Readonly<Record<string, string>>;
  /** What was sent since the last call. */
  take(): Pick<WritePlan, "ipv4" | "ipv6" | "ipset">;
}

/** Puts stand-ins for a backend's programs into `directory`. What is only tested is not recorded. */
export async function createRecorders(directory: string, backend: Backend): Promise<Recorders> {
  const path = process.env["PATH"] ?? "";
  const names = { ipv4: program(backend, 4, "-restore"), ipv6: program(backend, 6, "-restore"), ipset: "ipset" } as const;
  const logOf = (name: string): string => join(directory, `${name}.log`);
  for (const name of Object.values(names)) {
    const script = [
      "#!/bin/sh",
      "PATH=$PATH_AS_IT_WAS",
      `case "${name} $*" in *--test*|*--version*|"ipset save"|"ipset -"|"ipset list"*) exec ${name} "$@" ;; esac`,
      `tee -a ${logOf(name)} | ${name} "$@"`,
      "",
    ];
    await writeFile(join(directory, name), script.join("\n"), { mode: 0o755 });
    await writeFile(logOf(name), "");
  }
  const taken = (name: string): readonly string[] => {
    const text = readFileSync(logOf(name), "utf8");
    truncateSync(logOf(name));
    return withoutPadding(text).replaceAll(questions, "").split("\n").filter(Boolean);
  };
  return {
    env: { PATH: `${directory}:${path}`, PATH_AS_IT_WAS: path },
    take: () => ({ ipv4: taken(names.ipv4), ipv6: taken(names.ipv6), ipset: taken(names.ipset) }),
  };
}

/** What was written without what pushes answers out, which is written in pieces: between them stands what others have written, or nothing yet. */
export function withoutPadding(text: string): string {
  return text.replace(/#(?! )|^-+$|-{3,}/gm, "");
}

/** What changes nothing: looks at the rules, and how programs that read on are asked how far they are. */
const questions = /^(\*filter\n(-S( \S+)?\n)+COMMIT|# cld [0-9a-f]{16}|COMMIT\nlist -name cld4-operator)\n/gm;

/** Entries by list; each with its stamps, so that a refreshed one differs. */
export type Lists = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** Reads the lists of a namespace again and again, without starting a program each time. */
export function listReader(network: Network): () => Lists {
  const { pid } = network.spawn("host", "cat", [], { stdio: ["pipe", "ignore", "inherit"] });
  const directory = `/proc/${pid}/net/xt_recent`;
  const entriesOf = (name: string): ReadonlyMap<string, string> => {
    const lines = readFileSync(join(directory, name), "utf8").split("\n").filter(Boolean);
    return new Map(lines.map((line) => [canonical(/^src=(\S+)/.exec(line)?.[1] ?? ""), line]));
  };
  return () => new Map(readdirSync(directory).map((name) => [name, entriesOf(name)]));
}

/** The writes that turn one content of the lists into the other, sorted; lists that are gone need none. */
export function writesBetween(before: Lists, after: Lists): readonly string[] {
  return [...after]
    .flatMap(([list, entries]) => {
      const earlier = before.get(list) ?? new Map<string, string>();
      const gone = [...earlier.keys()].filter((address) => !entries.has(address));
      const written = [...entries].filter(([address, line]) => earlier.get(address) !== line);
      return [...gone.map((address) => `${list} -${address}`), ...written.map(([address]) => `${list} +${address}`)];
    })
    .sort();
}

/** The same of a plan, for lists that are there afterwards. */
export function plannedWrites({ recent }: WritePlan, after: Lists): readonly string[] {
  return recent
    .filter(({ list }) => after.has(list))
    .map(({ list, write }) => `${list} ${write.slice(0, 1)}${canonical(write.slice(1))}`)
    .sort();
}

const timeout = / timeout (\d+)$/;

/** Whether both have the same lines, but for seconds that differ by one. */
export function sameLines(planned: readonly string[], sent: readonly string[]): boolean {
  return (
    planned.length === sent.length &&
    planned.every((line, index) => {
      const other = sent[index] ?? "";
      if (line === other) return true;
      const [mine, theirs] = [timeout.exec(line)?.[1], timeout.exec(other)?.[1]];
      if (mine === undefined || theirs === undefined || line.replace(timeout, "") !== other.replace(timeout, "")) return false;
      return Math.abs(Number(mine) - Number(theirs)) <= 1;
    })
  );
}

/** As lists print it, IPv6 is in full. */
function canonical(address: string): string {
  return new SocketAddress({ address, family: address.includes(":") ? "ipv6" : "ipv4" }).address;
}
