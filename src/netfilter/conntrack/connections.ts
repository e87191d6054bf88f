import { closeSync, openSync, readSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { setImmediate as nextTurn } from "node:timers/promises";
import { formatNetwork, isSingleAddress, type Network, parseAddress, parseNetwork } from "../../domain/network.ts";
import { findCovering } from "../../domain/network-coverage.ts";
import { EnforcementDelayed } from "../../domain/ports.ts";
import type { RunCommand } from "../command/run.ts";
import { memo } from "../memo.ts";
import { createSharedRun } from "../shared-run.ts";
import { parseConntrackLine } from "./conntrack-lines.ts";
import { type ConnectedSocket, parseSocketLine } from "./socket-lines.ts";

export interface ConntrackOptions {
  readonly run: RunCommand;
  /** `/proc/net/nf_conntrack`, or a stand-in for it. */
  readonly file?: string;
  /** `/proc/net/tcp` and `/proc/net/tcp6`, or stand-ins for them. */
  readonly socketFiles?: readonly string[];
  /** This host's own addresses, as /proc or ip print them. */
  readonly localAddresses?: () => readonly string[];
}

/** The kernel's table of connections. */
export interface Conntrack {
  /**
   * Calls back for each open TCP connection to one of this host's addresses: the canonical source, and the port. Other work goes on
   * between. The kernel tracks connections only while some rule asks for it, so that those of the host's sockets which it does not
   * know are told as well.
   */
  scan(visit: (source: string, port: number) => void): Promise<void>;
  /** The same for the host's sockets alone: who is connected now, without what the tracking still remembers. */
  scanSockets(visit: (source: string, port: number) => void): Promise<void>;
  /**
   * Ends the connections that these addresses and networks have with this host now: the tracked flow and the local socket.
   * @returns how many open TCP connections to this host were ended
   * @throws {EnforcementDelayed} when a program that it needs fails
   */
  sever(networks: readonly string[]): Promise<number>;
}

const chunkBytes = 64 * 1024;
/** Bytes that are read before other work gets its turn. */
const bytesPerTurn = 128 * 1024;
/** Sources that one `ss` is asked about. */
const sourcesPerCommand = 100;
/** Programs that run at the same time. */
const commandsAtOnce = 4;

export function createConntrack(options: ConntrackOptions): Conntrack {
  const {
    run,
    file = "/proc/net/nf_conntrack",
    socketFiles = ["/proc/net/tcp", "/proc/net/tcp6"],
    localAddresses = ownAddresses,
  } = options;

  /** Those that others opened: to a port on which somebody here listens. */
  const scanSockets: Conntrack["scan"] = async (visit) => {
    const listening = new Set<number>();
    const connected: ConnectedSocket[] = [];
    for (const each of socketFiles) {
      for await (const line of linesOf(each)) {
        const socket = parseSocketLine(line);
        if (socket?.peer === null) listening.add(socket.localPort);
        else if (socket) connected.push({ ...socket, peer: socket.peer });
      }
    }
    for (const { peer, localPort } of connected) if (listening.has(localPort)) visit(peer, localPort);
  };

  /** Those who ask at the same time share one reading. */
  const openBySource = createSharedRun(async () => {
    const open = new Map<string, number>();
    await scan((source) => {
      open.set(source, (open.get(source) ?? 0) + 1);
    });
    return open;
  });

  const scan: Conntrack["scan"] = async (visit) => {
    const canonical = memo((text) => formatNetwork(parseAddress(text)));
    const local = new Set(localAddresses().map(canonical));
    const isLocal = (address: string) => local.has(address) || address.startsWith("127.");
    // Connections that are older than the tracking, or that it took up half way, are in no line; those that it forgot to end have no socket.
    const untracked = new Map<string, number>();
    await scanSockets((source, port) => {
      const key = `${source} ${port}`;
      untracked.set(key, (untracked.get(key) ?? 0) + 1);
    });
    for await (const line of linesOf(file)) {
      const connection = parseConntrackLine(line);
      if (!connection || !isLocal(canonical(connection.destination))) continue;
      const source = canonical(connection.source);
      const key = `${source} ${connection.port}`;
      const sockets = untracked.get(key) ?? 0;
      if (sockets > 0) untracked.set(key, sockets - 1);
      visit(source, connection.port);
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
    sever: async (texts) => {
      const { concerned, ended } = covered(await openBySource(), texts.map(parseNetwork));
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

/**
 * Reads without a detour over other threads, as /proc is in memory: where many write at a time, each such detour would cost a turn of
 * the event loop. Other work gets its turn after so many bytes.
 */
async function* linesOf(file: string): AsyncGenerator<string> {
  const descriptor = openIfThere(file);
  if (descriptor === undefined) return;
  try {
    const buffer = Buffer.allocUnsafe(chunkBytes);
    let rest = "";
    let sinceTurn = 0;
    for (let length = readSync(descriptor, buffer); length > 0; length = readSync(descriptor, buffer)) {
      const lines = (rest + buffer.toString("latin1", 0, length)).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
      sinceTurn += length;
      if (sinceTurn < bytesPerTurn) continue;
      sinceTurn = 0;
      await nextTurn();
    }
  } finally {
    closeSync(descriptor);
  }
}

function chunksOf<T>(all: readonly T[], size: number): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) => all.slice(index * size, (index + 1) * size));
}

/** A kernel that tracks no connections has no such file. */
function openIfThere(file: string): number | undefined {
  try {
    return openSync(file, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
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

function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) =>
    (addresses ?? []).map(({ address }) => address.replace(/%.*$/, "")),
  );
}

/** As ss takes it: the last group of an IPv6 address without brackets would be a port, and with brackets it takes no prefix length. */
function bracketed(text: string): string {
  return text.includes(":") && !text.includes("/") ? `[${text}]` : text;
}
