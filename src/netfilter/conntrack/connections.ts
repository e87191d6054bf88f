import { existsSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { contains, formatNetwork, isSingleAddress, type Network, parseAddress, parseNetwork } from "../../domain/network.ts";
import { findCovering } from "../../domain/network-coverage.ts";
import { EnforcementDelayed } from "../../domain/ports.ts";
import type { RunCommand } from "../command/run.ts";
import { memo } from "../memo.ts";
import { createSharedRun } from "../shared-run.ts";
import { parseConntrackLine, sourceText, type TrackedConnection } from "./conntrack-lines.ts";
import { linesOf } from "./proc-lines.ts";
import { createSocketLooks } from "./socket-looks.ts";

export interface ConntrackOptions {
  readonly run: RunCommand;
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

/** Sources that one `ss` is asked about. */
const sourcesPerCommand = 100;
/** Programs that run at the same time. */
const commandsAtOnce = 4;

export function createConntrack(options: ConntrackOptions): Conntrack {
  const {
    run,
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

  const tracksNow = createSharedRun(async () => tracksAny(countFile, file));

  /** Whether somebody from there can be connected. A host that tracks connections has to be asked for them. */
  const mayBeConnected = async (networks: readonly Network[]): Promise<boolean> => {
    if (await tracksNow()) return true;
    const { peers } = await sockets.recent();
    return covered(peers, networks).concerned.size > 0;
  };

  /** Those who ask at the same time share one reading. */
  const openBySource = createSharedRun(async () => {
    const open = new Map<string, number>();
    await scan((source) => {
      open.set(source, (open.get(source) ?? 0) + 1);
    });
    return open;
  });

  const scan: Conntrack["scan"] = async (visit, within) => {
    const isWanted = (source: string): boolean => within === undefined || contains(within, parseNetwork(source));
    const canonical = memo((text) => formatNetwork(parseAddress(text)));
    // To ask for them takes a millisecond.
    let local: ReadonlySet<string> | undefined;
    const isLocal = (address: string): boolean => {
      if (address.startsWith("127.")) return true;
      local ??= new Set(localAddresses().map(canonical));
      return local.has(address);
    };
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
    for await (const lines of linesOf(file, within && sourceText(within))) {
      for (const line of lines) see(parseConntrackLine(line));
    }
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
    scan,
    scanSockets,
    scanRecentSockets,
    sever: async (texts) => {
      const networks = texts.map(parseNetwork);
      if (!(await mayBeConnected(networks))) return 0;
      const { concerned, ended } = covered(await openBySource(), networks);
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

/** Whether the kernel tracks any connection; true where it does not tell. A kernel without tracking has neither file. */
function tracksAny(countFile: string, file: string): boolean {
  try {
    return readFileSync(countFile, "latin1").trim() !== "0";
  } catch {
    return existsSync(file);
  }
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
