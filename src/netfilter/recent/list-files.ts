import { accessSync, closeSync, constants, openSync, readdirSync, readFileSync, statSync, writeSync } from "node:fs";
import { formatNetwork, NetworkSyntaxError, parseNetwork } from "../../domain/network.ts";
import { EnforcementDelayed } from "../../domain/ports.ts";
import { onceATurn } from "../once-a-turn.ts";

/** One source in an xt_recent list. Stamps are in jiffies. */
export interface RecentEntry {
  /** Canonical address, as the list's mask left it. */
  readonly address: string;
  /** The same in the kernel's own words: what a command has to say to mean this entry. */
  readonly words: string;
  readonly lastSeen: number;
  /** The packets that the kernel remembers, oldest first. */
  readonly stamps: readonly number[];
}

/**
 * The only way to `/proc/net/xt_recent`: every list on this host's network namespace. Whatever is asked of a list that is there but
 * can't be read or written now throws an `EnforcementDelayed`.
 */
export interface RecentLists {
  /** Names of the lists that exist, that is: those that some rule names. */
  names(): readonly string[];
  /** Undefined when there is no such list. */
  read(name: string): readonly RecentEntry[] | undefined;
  exists(name: string): boolean;
  /** One command: `+ADDRESS` adds it or stamps it anew, `-ADDRESS` takes it out, if it is in; false when there is no such list. */
  write(name: string, command: string): boolean;
  /** Whether `write` would find it, without writing. */
  isWritable(name: string): boolean;
  /** How many entries a list holds before the kernel drops the one that was updated longest ago. */
  capacity(): number;
}

const capacityFile = "/sys/module/xt_recent/parameters/ip_list_tot";
/** The kernel's own default, for a host whose /sys does not tell. */
const defaultCapacity = 100;
/** Names of this service's own lists. */
export const ownListPattern = /^cld[46]-[a-z0-9-]+$/;
const commandPattern = /^[+-][0-9a-f.:]+$/;

/** @param directory `/proc/net/xt_recent`, or a stand-in for it in a test of faults */
export function createRecentLists(directory = "/proc/net/xt_recent"): RecentLists {
  /** What each list said when it was read last, and what that means: most readings find what the one before did. */
  const readings = new Map<string, { readonly text: string; readonly entries: readonly RecentEntry[] }>();
  /** One command per open and write: the kernel takes no second one on the same descriptor. */
  const write = (name: string, command: string): boolean => {
    if (!ownListPattern.test(name)) throw new TypeError(`not a list of this service: ${name}`);
    if (!commandPattern.test(command)) throw new TypeError(`not a command for a list: ${command}`);
    const written = whereExists(() => {
      const descriptor = openSync(`${directory}/${name}`, "w");
      try {
        return writeSync(descriptor, `${command}\n`);
      } finally {
        closeSync(descriptor);
      }
    });
    return written !== undefined;
  };
  return {
    names: () => whereExists(() => readdirSync(directory)) ?? [],
    read: (name) => {
      const text = whereExists(() => readFileSync(`${directory}/${name}`, "utf8"));
      if (text === undefined) return undefined;
      const last = readings.get(name);
      if (last?.text === text) return last.entries;
      const entries = parseEntries(text);
      if (ownListPattern.test(name)) readings.set(name, { text, entries });
      return entries;
    },
    exists: (name) => whereExists(() => statSync(`${directory}/${name}`)) !== undefined,
    write,
    isWritable: (name) => {
      const found = whereExists(() => {
        accessSync(`${directory}/${name}`, constants.W_OK);
        return true;
      });
      return found === true;
    },
    // Each of many writers asks.
    capacity: onceATurn(() => Number(whereExists(() => readFileSync(capacityFile, "utf8"))?.trim()) || defaultCapacity),
  };
}

/** Reads `src=ADDR ttl: N last_seen: J oldest_pkt: N J, J, ...`, one entry a line. */
export function parseEntries(text: string): readonly RecentEntry[] {
  return text.split("\n").flatMap((line) => {
    const [, source, lastSeen, stamps = ""] = /^src=(\S+) ttl: \d+ last_seen: (\d+) oldest_pkt: \d+ ?(.*)$/.exec(line) ?? [];
    if (source === undefined) return [];
    const address = canonical(source);
    return address === undefined ? [] : [{ address, words: source, lastSeen: Number(lastSeen), stamps: numbersOf(stamps) }];
  });
}

/** `J, J, ...`: a ring in which the oldest need not come first. */
function numbersOf(text: string): readonly number[] {
  return text
    .split(", ")
    .filter(Boolean)
    .map(Number)
    .sort((a, b) => a - b);
}

function canonical(source: string): string | undefined {
  try {
    return formatNetwork(parseNetwork(source));
  } catch (error) {
    if (error instanceof NetworkSyntaxError) return undefined;
    throw error;
  }
}

function whereExists<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    if (error.code === "ENOENT") return undefined;
    throw new EnforcementDelayed(`the lists of xt_recent can't be used: ${error.message}`);
  }
}
