import { existsSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import { contains, formatNetwork, isSingleAddress, type Network, parseAddress, parseNetwork } from "../../domain/network.ts";
import { findCovering } from "../../domain/network-coverage.ts";
import { EnforcementDelayed } from "../../domain/ports.ts";
import type { RunCommand } from "../command/run.ts";
import { memo, once } from "../memo.ts";
import { createSharedRun } from "../shared-run.ts";
import { parseConntrackLine, sourceText, type TrackedConnection } from "./conntrack-lines.ts";
import { isFilterable } from "./conntrack-messages.ts";
import type { FilteredDump } from "./filtered-dump.ts";
import { linesOf } from "./proc-lines.ts";
import { createSocketLooks } from "./socket-looks.ts";

export interface ConntrackOptions {
  readonly run: RunCommand;
  /** Without it the whole table is read, whoever is looked for. */
  readonly dump?: FilteredDump;
  /** `/proc/net/nf_conntrack`, or a stand-in for it. */
  readonly file?: string;
  /** `/proc/sys/net/netfilter/nf_conntrack_count`, or a stand-in for it. */
  readonly countFile?: string;
  /** `/proc/net/tcp` and `/proc/net/tcp6`, or stand-ins for them. */
  readonly socketFiles?: readonly string[];
  /** `/proc/net/snmp`, or a stand-in for it. */
  readonly statisticsFile?: string;
  /** This host's own addresses, as /proc or ip print them. */
  readonly localAddresses?: () => readonly string[];
}

/** The kernel's table of connections. */
export interface Conntrack {
  /**
   * Calls back for each open TCP connection to one of this host's addresses: the canonical source, and the port. Other work goes on
   * between. The kernel tracks connections only while some rule asks for it, so that those of the host's sockets which it does not
   * know are told as well.
   * @param within only those from there: much cheaper than to leave out the others afterwards
   */
  scan(visit: (source: string, port: number) => void, within?: Network): Promise<void>;
  /** The same for the host's sockets alone: who is connected now, without what the tracking still remembers. */
  scanSockets(visit: (source: string, port: number) => void): Promise<void>;
  /** The same at next to no cost while nobody has connected since the last look: some may have ended their connection, or opened it the other way round. */
  scanRecentSockets(visit: (source: string, port: number) => void): Promise<void>;
  /**
   * Ends the connections that these addresses and networks have with this host now: the tracked flow and the local socket.
   * @returns how many open TCP connections to this host were ended
   * @throws {EnforcementDelayed} when a program that it needs fails
   */
  sever(networks: readonly string[]): Promise<number>;
}

/** So many connections that to read them all takes as long as the start of a program, some 10 ms. */
const manyTracked = 5000;
/** Addresses whose connections are asked for one by one: the kernel goes over all of them each time, in an eighth of the time that it takes to print them. */
const mostAsked = 4;
/** Connections that are gone through before other work gets its turn. */
const connectionsPerTurn = 1000;
/** Sources that one `ss` is asked about. */
const sourcesPerCommand = 100;
/** Programs that run at the same time. */
const commandsAtOnce = 4;

export function createConntrack(options: ConntrackOptions): Conntrack {
  const {
    run,
    dump,
    file = "/proc/net/nf_conntrack",
    countFile = "/proc/sys/net/netfilter/nf_conntrack_count",
    localAddresses = ownAddresses,
  } = options;
  const sockets = createSocketLooks(options);

  const scanSockets: Conntrack["scanSockets"] = async (visit) => {
    const { connected, listening } = await sockets.now();
    for (const { peer, localPort } of connected) if (listening.has(localPort)) visit(peer, localPort);
  };

  const scanRecentSockets: Conntrack["scanRecentSockets"] = async (visit) => {
    for (const { peer, localPort } of (await sockets.recent()).connected) visit(peer, localPort);
  };

  const tracksNow = createSharedRun(async () => trackedBy(countFile, file) > 0);

  /** Whether somebody from there can be connected. A host that tracks connections has to be asked for them. */
  const mayBeConnected = async (networks: readonly Network[]): Promise<boolean> => {
    if (await tracksNow()) return true;
    const { peers } = await sockets.recent();
    return covered(peers, networks).concerned.size > 0;
  };

  /** Those who ask at the same time share one reading. */
  let wanted: Network[] = [];
  const readOpen = createSharedRun(async () => {
    const sources = distinct(wanted);
    wanted = [];
    const open = new Map<string, number>();
    await look(
      (source) => {
        open.set(source, (open.get(source) ?? 0) + 1);
      },
      mayBeAsked(sources) ? sources : undefined,
    );
    return open;
  });
  /** Open connections by source, at least of those that are from there. */
  const openBySource = (networks: readonly Network[]): Promise<ReadonlyMap<string, number>> => {
    wanted.push(...networks);
    return readOpen();
  };

  const mayBeAsked = (sources: readonly Network[]): boolean =>
    dump !== undefined && sources.length <= mostAsked && sources.every(isFilterable) && trackedBy(countFile, file) >= manyTracked;

  /** The open connections of these sources; undefined where the kernel can't be asked for them. */
  const askFor = async (sources: readonly Network[]): Promise<readonly TrackedConnection[] | undefined> => {
    if (dump === undefined || !mayBeAsked(sources)) return undefined;
    const answers = await Promise.all(sources.map(dump));
    return answers.includes(undefined) ? undefined : answers.flatMap((connections) => connections ?? []);
  };

  /** What the kernel's table holds, some at a time with turns of other work between; perhaps with more than was asked for. */
  async function* tracked(
    only: readonly Network[] = [],
    asked: ReturnType<typeof askFor> | undefined = undefined,
  ): AsyncGenerator<readonly (TrackedConnection | undefined)[]> {
    const answer = await asked;
    if (answer !== undefined) {
      for (const some of chunksOf(answer, connectionsPerTurn)) {
        yield some;
        await nextTurn();
      }
      return;
    }
    const [first, ...others] = only;
    const text = first !== undefined && others.length === 0 ? sourceText(first) : "";
    for await (const lines of linesOf(file, text)) yield lines.map(parseConntrackLine);
  }

  /** @param only those from there; single addresses where they are several */
  const look = async (visit: (source: string, port: number) => void, only?: readonly Network[]): Promise<void> => {
    const isWanted = only === undefined ? () => true : membership(only);
    const canonical = memo((text) => formatNetwork(parseAddress(text)));
    // To ask for them takes a millisecond.
    const local = once(() => new Set(localAddresses().map(canonical)));
    const isLocal = (address: string): boolean => address.startsWith("127.") || local().has(address);
    // The kernel goes over its table on another processor while the sockets are read here. Whoever looks first, a source and port count as often as
    // the one says that knows more of them: neither misses what is open all along, and what both know is counted once.
    const asked = only && askFor(only);
    // Connections that are older than the tracking, or that it took up half way, are in no line; those that it forgot to end have no socket.
    const untracked = new Map<string, number>();
    await scanSockets((source, port) => {
      if (!isWanted(source)) return;
      const key = `${source} ${port}`;
      untracked.set(key, (untracked.get(key) ?? 0) + 1);
    });
    const see = (connection: TrackedConnection | undefined): void => {
      if (!connection || !isLocal(canonical(connection.destination))) return;
      const source = canonical(connection.source);
      if (!isWanted(source)) return;
      const key = `${source} ${connection.port}`;
      const sockets = untracked.get(key) ?? 0;
      if (sockets > 0) untracked.set(key, sockets - 1);
      visit(source, connection.port);
    };
    for await (const some of tracked(only, asked)) for (const connection of some) see(connection);
    for (const [key, count] of untracked) {
      const [source = "", port] = key.split(" ");
      for (let left = count; left > 0; left -= 1) visit(source, Number(port));
    }
  };

  const mustRun = async (program: string, args: readonly string[], accepted: readonly number[]): Promise<void> => {
    const { exitCode, failure, stderr } = await run(program, args);
    if (exitCode !== null && accepted.includes(exitCode)) return;
    throw new EnforcementDelayed(
      `${program} fails: ${(failure ?? stderr.trim().replace(/\s+/g, " ")) || `exit code ${exitCode}`}`,
    );
  };

  return {
    scan: (visit, within) => look(visit, within && [within]),
    scanSockets,
    scanRecentSockets,
    sever: async (texts) => {
      const networks = texts.map(parseNetwork);
      if (!(await mayBeConnected(networks))) return 0;
      const { concerned, ended } = covered(await openBySource(networks), networks);
      if (concerned.size === 0) return 0;
      const own = [...new Set(localAddresses().map((address) => formatNetwork(parseAddress(address))))];
      for (const some of chunksOf([...concerned], sourcesPerCommand)) {
        await mustRun("ss", ["-K", "-t", "-H", some.map((text) => `dst ${bracketed(text)}`).join(" or ")], [0]);
      }
      // Flows that this host only forwards are none of its business.
      const flows = [...concerned].flatMap((text) => {
        const ends = own.filter((address) => address.includes(":") === text.includes(":"));
        return ends.map((end) => ["-D", "-s", text, "-r", end]);
      });
      // 1: there was none.
      for (const some of chunksOf(flows, commandsAtOnce)) {
        await Promise.all(some.map((args) => mustRun("conntrack", args, [0, 1])));
      }
      return ended;
    },
  };
}

function chunksOf<T>(all: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) => all.slice(index * size, (index + 1) * size));
}

/** Which of some addresses and networks have connections open, and how many in all. */
function covered(open: ReadonlyMap<string, number>, networks: readonly Network[]) {
  const concerned = new Set<string>();
  let ended = 0;
  const add = (text: string | undefined, count: number): void => {
    if (text === undefined || count === 0) return;
    concerned.add(text);
    ended += count;
  };
  if (networks.every(isSingleAddress)) {
    for (const source of new Set(networks.map(formatNetwork))) add(source, open.get(source) ?? 0);
  } else {
    const covering = findCovering(networks);
    for (const [source, count] of open) add(covering(parseAddress(source)), count);
  }
  return { concerned, ended };
}

/** How many connections of any protocol the kernel tracks; infinitely many where it does not tell. A kernel without tracking has neither file. */
function trackedBy(countFile: string, file: string): number {
  try {
    const count = Number.parseInt(readFileSync(countFile, "latin1"), 10);
    return Number.isNaN(count) ? Number.POSITIVE_INFINITY : count;
  } catch {
    return existsSync(file) ? Number.POSITIVE_INFINITY : 0;
  }
}

function distinct(networks: readonly Network[]): readonly Network[] {
  return [...new Map(networks.map((network) => [formatNetwork(network), network])).values()];
}

/** Whether a canonical address is in one network, or is one of several addresses. */
function membership(networks: readonly Network[]): (address: string) => boolean {
  const [first, ...others] = networks;
  if (first !== undefined && others.length === 0) return (address) => contains(first, parseNetwork(address));
  const texts = new Set(networks.map(formatNetwork));
  return (address) => texts.has(address);
}

function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address.replace(/%.*$/, "")),
  );
}

/** As ss takes it: the last group of an IPv6 address without brackets would be a port, and with brackets it takes no prefix length. */
function bracketed(text: string): string {
  return text.includes(":") && !text.includes("/") ? `[${text}]` : text;
}
