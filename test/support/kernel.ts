import { SocketAddress } from "node:net";
import { describe } from "node:test";
import { hostAddresses, type Network } from "./namespaces.ts";

export type Backend = "nft" | "legacy";
export type Family = 4 | 6;

const backends = ["nft", "legacy"] as const;

/** The addresses that a test uses in one family. */
export interface FamilyAddresses {
  readonly family: Family;
  /** The host's own address. */
  readonly host: string;
  /** Source number `n` (1 to 65000): its own address, and in IPv6 its own /64. */
  source(n: number): string;
  /** What a ban on source `n` is called where the policy counts as it does by default: the address, in IPv6 its /64. */
  subject(n: number): string;
  /** The same as it stands in an xt_recent list: without the prefix length. */
  entry(n: number): string;
}

export const families: readonly FamilyAddresses[] = [
  {
    family: 4,
    host: hostAddresses[4],
    source: (n) => `10.9.${n >> 8}.${n & 0xff}`,
    subject: (n) => `10.9.${n >> 8}.${n & 0xff}`,
    entry: (n) => `10.9.${n >> 8}.${n & 0xff}`,
  },
  {
    family: 6,
    host: hostAddresses[6],
    source: (n) => `2001:db8:9:${n.toString(16)}::5`,
    subject: (n) => `2001:db8:9:${n.toString(16)}::/64`,
    entry: (n) => `2001:db8:9:${n.toString(16)}::`,
  },
];

/** Registers the same tests for both backends of iptables. */
export function forBackends(register: (backend: Backend) => void): void {
  for (const backend of backends) describe(`on ${backend}`, () => register(backend));
}

/** How the host of a test is set up. */
export interface Setup {
  readonly backend: Backend;
  readonly withoutIpset: boolean;
}

/** The families in which a test runs: what differs on a host without ipset is the same in both. */
export function familiesOf({ withoutIpset }: Setup): readonly FamilyAddresses[] {
  return withoutIpset ? families.slice(0, 1) : families;
}

/** Registers the same tests for both backends, and for one of them on a host without ipset. */
export function forSetups(register: (setup: Setup) => void): void {
  for (const backend of backends) describe(`on ${backend}`, () => register({ backend, withoutIpset: false }));
  describe("on nft without ipset", () => register({ backend: "nft", withoutIpset: true }));
}

/** The same with the setups side by side, for tests that mostly wait. */
export function forSetupsSideBySide(register: (setup: Setup) => void, withoutIpset: Backend = "nft"): void {
  describe("side by side", { concurrency: 4 }, () => {
    for (const backend of backends) {
      describe(`on ${backend}`, { concurrency: 1 }, () => register({ backend, withoutIpset: false }));
    }
    describe(`on ${withoutIpset} without ipset`, { concurrency: 1 }, () =>
      register({ backend: withoutIpset, withoutIpset: true }),
    );
  });
}

/** The same, with all tests running side by side: for tests that have a network each and mostly wait. */
export function forBackendsSideBySide(register: (backend: Backend) => void): void {
  describe("side by side", { concurrency: 4 }, () => {
    for (const backend of backends) describe(`on ${backend}`, { concurrency: 2 }, () => register(backend));
  });
}

/** Registers the same tests for both backends and both address families. */
export function forBackendsAndFamilies(register: (backend: Backend, family: FamilyAddresses) => void): void {
  forBackends((backend) => {
    for (const family of families) describe(`over IPv${family.family}`, () => register(backend, family));
  });
}

/** The program of a backend and family: `ip6tables-nft`, and with `-save` or `-restore` behind it. */
export function program(backend: Backend, family: Family, suffix: "" | "-save" | "-restore" = ""): string {
  return `ip${family === 6 ? "6" : ""}tables-${backend}${suffix}`;
}

/** Runs one iptables command in the host. @throws {Error} with iptables' message */
export function iptables(network: Network, backend: Backend, family: Family, ...args: readonly string[]): Promise<string> {
  return network.exec("host", program(backend, family), ["-w", "10", ...args]);
}

/** One `iptables-restore --noflush` transaction on the filter table. @throws {Error} with iptables' message */
export async function restore(network: Network, backend: Backend, family: Family, lines: readonly string[]): Promise<void> {
  const text = ["*filter", ...lines, "COMMIT", ""].join("\n");
  await network.exec("host", program(backend, family, "-restore"), ["-w", "10", "--noflush"], text);
}

/** Empties the filter table of the host. */
export async function flush(network: Network, backend: Backend, family: Family): Promise<void> {
  await iptables(network, backend, family, "-F");
  await iptables(network, backend, family, "-X");
}

/** What `iptables-save` prints of the filter table, without its comments; the chains' counters are dropped unless asked for. */
export async function save(
  network: Network,
  backend: Backend,
  family: Family,
  options: { counters?: boolean } = {},
): Promise<string> {
  const args = ["-t", "filter", ...(options.counters === true ? ["-c"] : [])];
  const text = await network.exec("host", program(backend, family, "-save"), args);
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.map((line) => (options.counters === true ? line : line.replace(/^(:.*) \[\d+:\d+\]$/, "$1"))).join("\n");
}

/** The same without anything that names a chain of the service. */
export async function saveForeign(
  network: Network,
  backend: Backend,
  family: Family,
  options: { counters?: boolean } = {},
): Promise<string> {
  const lines = (await save(network, backend, family, options)).split("\n");
  return lines.filter((line) => !line.includes("CLD-")).join("\n");
}

/** An entry of an xt_recent list; times in jiffies. */
export interface ListEntry {
  /** In canonical text. */
  readonly address: string;
  readonly lastSeen: number;
  /** Every remembered packet, oldest first. */
  readonly stamps: readonly number[];
}

/** Reads an xt_recent list of the host; `undefined` where there is no such list. */
export async function readList(network: Network, name: string): Promise<readonly ListEntry[] | undefined> {
  const result = await network.tryExec("host", "cat", [`/proc/net/xt_recent/${name}`]);
  if (result.code !== 0) return undefined;
  return result.stdout.split("\n").filter(Boolean).map(entryOf);
}

/** The addresses of an xt_recent list of the host, sorted as text. */
export async function listedAddresses(network: Network, name: string): Promise<readonly string[] | undefined> {
  return (await readList(network, name))?.map((entry) => entry.address).sort();
}

/** Writes to an xt_recent list of the host: one `open`, one `write` per `bytesPerWrite`. @throws {Error} with the errno's message */
export async function writeList(network: Network, name: string, text: string, bytesPerWrite = 4096): Promise<void> {
  await network.exec("host", "dd", [`of=/proc/net/xt_recent/${name}`, `bs=${bytesPerWrite}`, "status=none"], text);
}

/** An entry of an ipset; `secondsLeft` 0: no end. */
export interface SetMember {
  /** As ipset prints it. */
  readonly address: string;
  readonly secondsLeft: number;
}

/** Every ipset of the host by name. */
export async function readSets(network: Network): Promise<ReadonlyMap<string, readonly SetMember[]>> {
  const sets = new Map<string, SetMember[]>();
  for (const line of (await network.exec("host", "ipset", ["save"])).split("\n")) {
    const [command, name = "", address = "", ...options] = line.split(" ");
    if (command === "create") sets.set(name, []);
    if (command === "add") sets.get(name)?.push({ address, secondsLeft: Number(options[options.indexOf("timeout") + 1] ?? 0) });
  }
  return sets;
}

/** How many "port unreachable" and similar ICMP messages the client has received. */
export async function unreachablesSeen(network: Network, family: Family): Promise<number> {
  if (family === 6) {
    const text = await network.exec("client", "cat", ["/proc/net/snmp6"]);
    return Number(/^Icmp6InDestUnreachs\s+(\d+)$/m.exec(text)?.[1]);
  }
  const text = await network.exec("client", "cat", ["/proc/net/snmp"]);
  const [names = "", values = ""] = text.split("\n").filter((line) => line.startsWith("Icmp:"));
  return Number(values.split(" ")[names.split(" ").indexOf("InDestUnreachs")]);
}

function entryOf(line: string): ListEntry {
  const match = /^src=(\S+) ttl: \d+ last_seen: (\d+) oldest_pkt: \d+ ([\d, ]*)$/.exec(line);
  if (match === null) throw new Error(`not an xt_recent entry: ${line}`);
  const [, printed = "", lastSeen = "", stamps = ""] = match;
  // IPv6 stands there in full: 2001:0db8:0000:...
  const { address } = new SocketAddress({ address: printed, family: printed.includes(":") ? "ipv6" : "ipv4" });
  return { address, lastSeen: Number(lastSeen), stamps: stamps.split(",").map(Number) };
}
