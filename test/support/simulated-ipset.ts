import { contains, formatNetwork, maskNetwork, type Network, parseNetwork } from "../../src/domain/network.ts";
import type { Clock } from "../../src/domain/ports.ts";
import type { CommandResult, RunCommand } from "../../src/netfilter/command/run.ts";

/** What `ipset` can do other than its work. */
export type IpsetFault = "program missing" | "no kernel module" | "save fails" | "restore fails" | "killed";

/** The sets of a host behind the program `ipset`, in memory; their timeouts run by the test's clock. */
export interface SimulatedIpset {
  readonly run: RunCommand;
  /** The texts of the restores that changed something. */
  readonly restores: readonly string[];
  /** How often the program was started, by its first argument. */
  started(command?: "save" | "restore" | "list" | "destroy"): number;
  names(): readonly string[];
  /** The entries of a set with the milliseconds that are left; undefined when there is no such set. */
  left(set: string): Readonly<Record<string, number | null>> | undefined;
  /** Another tool's `ipset restore`. */
  edit(...lines: readonly string[]): void;
  /** What a packet does at `-j SET --add-set NAME src --exist --timeout S`. */
  addFromPacket(set: string, source: string, seconds: number): void;
  holds(set: string, source: string): boolean;
  setFault(fault: IpsetFault | null): void;
  /** From now on each `save` ends only when the result is called; it prints what was there when it began. */
  holdSaves(): () => void;
}

interface StoredSet {
  readonly words: string;
  readonly prefix: number;
  readonly capacity: number;
  readonly network: boolean;
  /** End in milliseconds of the monotonic clock by canonical text; null: no end. */
  readonly entries: Map<string, number | null>;
  /** No entry ends before. */
  nextEnd: number;
}

class RefusedLine extends Error {
  override readonly name = "RefusedLine";
}

export interface SimulatedIpsetOptions {
  readonly clock: Clock;
  /** Whether some rule names the set; such a one can't be destroyed. */
  readonly isReferenced?: (set: string) => boolean;
}

export function createSimulatedIpset({ clock, isReferenced = () => false }: SimulatedIpsetOptions): SimulatedIpset {
  const sets = new Map<string, StoredSet>();
  const restores: string[] = [];
  const starts: string[] = [];
  let fault: IpsetFault | null = null;
  let gate: Promise<void> | undefined;

  const existing = (name: string): StoredSet => {
    const set = sets.get(name);
    if (!set) throw new RefusedLine("The set with the given name does not exist");
    const now = clock.monotonic();
    if (now < set.nextEnd) return set;
    for (const [address, end] of set.entries) if (end !== null && end <= now) set.entries.delete(address);
    set.nextEnd = [...set.entries.values()].reduce<number>(
      (first, end) => Math.min(first, end ?? first),
      Number.POSITIVE_INFINITY,
    );
    return set;
  };

  const add = (name: string, address: string, seconds: number): void => {
    const set = existing(name);
    const key = keyOf(set, parseNetwork(address));
    if (!set.entries.has(key) && set.entries.size >= set.capacity)
      throw new RefusedLine("Hash is full, cannot add more elements");
    const end = seconds === 0 ? null : clock.monotonic() + seconds * 1000;
    set.entries.set(key, end);
    set.nextEnd = Math.min(set.nextEnd, end ?? set.nextEnd);
  };

  const create = (name: string, words: string): void => {
    const present = sets.get(name);
    if (present && present.words !== words) throw new RefusedLine("Set cannot be created: set with the same name already exists");
    if (name.length > 31) throw new RefusedLine(`setname '${name}' is longer than 31 characters`);
    const family = words.includes("inet6") ? 128 : 32;
    const option = (key: string) => new RegExp(`\\b${key} (\\d+)`).exec(words)?.[1];
    const [prefix, capacity] = [Number(option("netmask") ?? family), Number(option("maxelem") ?? 65_536)];
    if (present) return;
    const network = words.startsWith("hash:net");
    sets.set(name, { words, prefix, capacity, network, entries: new Map(), nextEnd: Number.POSITIVE_INFINITY });
  };

  const flush = (name: string): void => {
    for (const one of name === "" ? [...sets.keys()] : [name]) existing(one).entries.clear();
  };

  const applyLine = (line: string): void => {
    const [command, name = "", address = "", option, value] = line.split(" ");
    if (command === "create") create(name, line.split(" ").slice(2).join(" "));
    else if (command === "add") add(name, address, option === "timeout" ? Number(value) : 0);
    else if (command === "del") existing(name).entries.delete(keyOf(existing(name), parseNetwork(address)));
    else if (command === "flush") flush(name);
    else if (command === "destroy") destroy(name);
    else throw new RefusedLine(`Unknown command ${command}`);
  };

  const destroy = (name: string): void => {
    existing(name);
    if (isReferenced(name)) throw new RefusedLine("Set cannot be destroyed: it is in use by a kernel component");
    sets.delete(name);
  };

  const listed = (terse: boolean): string => {
    if (!terse) return [...sets.keys()].map((name) => `${name}\n`).join("");
    const described = [...sets].map(([name, { entries }]) => {
      const references = Number(isReferenced(name));
      return `Name: ${name}\nType: hash:ip\nReferences: ${references}\nNumber of entries: ${entries.size}\n`;
    });
    return described.join("\n");
  };

  const applyText = (text: string): CommandResult => {
    for (const [index, line] of text.split("\n").filter(Boolean).entries()) {
      try {
        applyLine(line);
      } catch (error) {
        if (!(error instanceof RefusedLine)) throw error;
        return answer(1, "", `ipset v7.17: Error in line ${index + 1}: ${error.message}\n`);
      }
    }
    return answer(0);
  };

  const saved = (): string =>
    [...sets.keys()]
      .flatMap((name) => {
        const { words, entries, network } = existing(name);
        const lines = [...entries].map(
          ([address, end]) => `add ${name} ${network ? address : address.split("/")[0]} timeout ${secondsLeft(end)}`,
        );
        return [`create ${name} ${words} bucketsize 12 initval 0x1e3f5a7c`, ...lines];
      })
      .map((line) => `${line}\n`)
      .join("");

  const secondsLeft = (end: number | null): number =>
    end === null ? 0 : Math.max(1, Math.floor((end - clock.monotonic()) / 1000));

  const restored = (text: string): CommandResult => {
    const probes = text.includes("-probe-");
    if (fault === "restore fails" && !probes) return answer(1, "", "ipset v7.17: Error in line 1: Kernel error received\n");
    if (!probes) restores.push(text);
    return applyText(text);
  };

  return {
    restores,
    started: (command) => starts.filter((one) => command === undefined || one === command).length,
    names: () => [...sets.keys()],
    left: (name) => {
      if (!sets.has(name)) return undefined;
      const entries = [...existing(name).entries];
      return Object.fromEntries(entries.map(([address, end]) => [address, end === null ? null : end - clock.monotonic()]));
    },
    edit: (...lines) => {
      const { exitCode, stderr } = applyText(lines.join("\n"));
      if (exitCode !== 0) throw new Error(stderr);
    },
    addFromPacket: (name, source, seconds) => {
      try {
        add(name, source, seconds);
      } catch (error) {
        if (!(error instanceof RefusedLine && error.message.startsWith("Hash is full"))) throw error;
      }
    },
    holds: (name, source) => {
      const address = parseNetwork(source);
      return sets.has(name) && [...existing(name).entries.keys()].some((entry) => contains(parseNetwork(entry), address));
    },
    setFault: (next) => {
      fault = next;
    },
    holdSaves: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return () => {
        gate = undefined;
        resolve();
      };
    },
    run: async (_file, args, input) => {
      const [command = ""] = args;
      starts.push(command);
      if (fault === "program missing") return { ...answer(0), exitCode: null, failure: "not-found" };
      if (fault === "killed") return { ...answer(0), exitCode: null, failure: "timed-out" };
      if (fault === "no kernel module") return answer(1, "", "ipset v7.17: Cannot open session to kernel.\n");
      if (command === "destroy") return applyText(args.join(" "));
      if (command === "list") return answer(0, listed(args.includes("-terse")));
      if (command === "save") {
        const text = saved();
        await gate;
        return fault === "save fails"
          ? answer(1, "", "ipset v7.17: Kernel error received:\n  Operation not permitted\n")
          : answer(0, text);
      }
      if (command !== "restore") throw new Error(`ipset does not know ${command}`);
      return restored(input ?? "");
    },
  };
}

/** A set of networks knows each prefix length; one of addresses has its own, and knows the address that is left by it. */
function keyOf({ network, prefix }: Pick<StoredSet, "network" | "prefix">, address: Network): string {
  return formatNetwork(network ? address : maskNetwork(address, prefix));
}

function answer(exitCode: number, stdout = "", stderr = ""): CommandResult {
  return { exitCode, stdout, stderr };
}
