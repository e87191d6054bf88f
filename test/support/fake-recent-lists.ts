import { formatNetwork, parseNetwork } from "../../src/domain/network.ts";
import type { Clock } from "../../src/domain/ports.ts";
import type { RecentLists } from "../../src/netfilter/recent/list-files.ts";

/** The xt_recent lists of a host, in memory, with the kernel's way of dropping entries and with faults. */
export interface FakeRecentLists extends RecentLists {
  /** Lists are there while a rule names them: these stay or come to be, the others go with their entries. */
  keepOnly(names: Iterable<string>): void;
  /** What a packet does at a `--set` rule; at `jiffies`, by default now. */
  stamp(name: string, address: string, jiffies?: number): void;
  /** What somebody else does by hand: takes an entry out. */
  drop(name: string, address: string): void;
  /** Now, in the kernel's ticks. */
  jiffies(): number;
  setCapacity(entries: number): void;
  /** From now on the kernel takes additions and keeps nothing of them, as where it has no memory. */
  loseAdditions(): void;
  /** What was written over the service's own door, oldest first: `LIST +ADDRESS`. */
  readonly writes: readonly string[];
}

/** @param tickRate the kernel's CONFIG_HZ */
export function createFakeRecentLists({
  clock,
  tickRate = 250,
}: {
  readonly clock: Clock;
  readonly tickRate?: number;
}): FakeRecentLists {
  const bootStamp = 2 ** 32 - 300 * tickRate;
  /** Stamps, oldest first, by the address in the words in which it was written. */
  let lists = new Map<string, Map<string, readonly number[]>>();
  const writes: string[] = [];
  let capacity = 100;
  let losing = false;

  const jiffies = () => bootStamp + Math.floor((clock.monotonic() * tickRate) / 1000);

  /** The last entry of the map is the one that was updated last; the first is dropped where there is no room. */
  function put(name: string, address: string, stamp: number): void {
    const entries = lists.get(name);
    if (!entries) return;
    const stamps = entries.get(address) ?? [];
    if (!entries.delete(address) && entries.size >= capacity) {
      const [oldest] = entries.keys();
      if (oldest !== undefined) entries.delete(oldest);
    }
    entries.set(address, [...stamps, stamp]);
  }

  return {
    writes,
    jiffies,
    keepOnly: (names) => {
      lists = new Map([...names].map((name) => [name, lists.get(name) ?? new Map<string, readonly number[]>()]));
    },
    stamp: (name, address, at = jiffies()) => {
      if (!lists.has(name)) throw new Error(`no rule names the list ${name}`);
      put(name, address, at);
    },
    drop: (name, address) => {
      lists.get(name)?.delete(address);
    },
    setCapacity: (entries) => {
      capacity = entries;
    },
    loseAdditions: () => {
      losing = true;
    },
    names: () => [...lists.keys()],
    exists: (name) => lists.has(name),
    isWritable: (name) => lists.has(name),
    read: (name) => {
      const entries = lists.get(name);
      return entries && [...entries].map(([words, stamps]) => entryOf(words, stamps));
    },
    write: (name, command) => {
      if (!lists.has(name)) return false;
      writes.push(`${name} ${command}`);
      const address = command.slice(1);
      if (command.startsWith("-")) lists.get(name)?.delete(address);
      else if (!losing) put(name, address, jiffies());
      return true;
    },
    capacity: () => capacity,
  };
}

function entryOf(words: string, stamps: readonly number[]) {
  return { address: formatNetwork(parseNetwork(words)), words, lastSeen: stamps.at(-1) ?? 0, stamps };
}
