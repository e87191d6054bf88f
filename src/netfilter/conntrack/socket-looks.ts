import { readFileSync } from "node:fs";
import { createSharedRun } from "../shared-run.ts";
import { linesOf } from "./proc-lines.ts";
import { type ConnectedSocket, parseSocketLine } from "./socket-lines.ts";

/** Milliseconds for which a look serves at most: the kernel can miss a socket in a list that changes while it is read. */
const longestUse = 1000;

export interface SocketLooksOptions {
  /** `/proc/net/tcp` and `/proc/net/tcp6`, or stand-ins for them. */
  readonly socketFiles?: readonly string[];
  /** `/proc/net/snmp`, or a stand-in for it. */
  readonly statisticsFile?: string;
  /** Milliseconds of a clock that only goes on. */
  readonly monotonic?: () => number;
}

/** The TCP sockets of this host at some moment. */
export interface SocketLook {
  /** Whoever opened the connection. */
  readonly connected: readonly ConnectedSocket[];
  /** How many connections each peer has. */
  readonly peers: ReadonlyMap<string, number>;
  /** Ports on which somebody waits for connections. */
  readonly listening: ReadonlySet<number>;
}

/** Looks at this host's sockets. Those who ask at the same time share one. */
export interface SocketLooks {
  now(): Promise<SocketLook>;
  /** One of the last second, unless a connection was opened since: all that are connected now are in it, and some that are not any more. */
  recent(): Promise<SocketLook>;
}

export function createSocketLooks({
  socketFiles = ["/proc/net/tcp", "/proc/net/tcp6"],
  statisticsFile = "/proc/net/snmp",
  monotonic = () => performance.now(),
}: SocketLooksOptions): SocketLooks {
  let last: { readonly opened: string; readonly at: number; readonly look: SocketLook } | undefined;

  /** The kernel walks a table of hundreds of thousands of slots for each reading, 2 ms for each family. */
  const now = createSharedRun(async (): Promise<SocketLook> => {
    // What is opened meanwhile may be missing.
    const [opened, at] = [openedIn(statisticsFile), monotonic()];
    const [listening, peers] = [new Set<number>(), new Map<string, number>()];
    const connected: ConnectedSocket[] = [];
    const note = (socket: ReturnType<typeof parseSocketLine>): void => {
      if (socket === undefined) return;
      const { peer, localPort } = socket;
      if (peer === null) listening.add(localPort);
      else {
        connected.push({ peer, localPort });
        peers.set(peer, (peers.get(peer) ?? 0) + 1);
      }
    };
    for (const each of socketFiles) {
      for await (const lines of linesOf(each)) for (const line of lines) note(parseSocketLine(line));
    }
    const look = { connected, peers, listening };
    last = opened === undefined ? undefined : { opened, at, look };
    return look;
  });

  const recent = createSharedRun(async (): Promise<SocketLook> => {
    const serves = last !== undefined && monotonic() - last.at < longestUse && last.opened === openedIn(statisticsFile);
    return last !== undefined && serves ? last.look : now();
  });
  return { now, recent };
}

/**
 * How many TCP connections this host has opened and accepted, in either family (RFC 1213: tcpActiveOpens, tcpPassiveOpens; net/ipv4/proc.c); undefined
 * where the kernel does not tell.
 */
function openedIn(statisticsFile: string): string | undefined {
  try {
    const [names = [], values = []] = readFileSync(statisticsFile, "latin1")
      .split("\n")
      .filter((line) => line.startsWith("Tcp: "))
      .map((line) => line.split(" "));
    const [active, passive] = ["ActiveOpens", "PassiveOpens"].map((name) => values[names.indexOf(name)]);
    return active === undefined || passive === undefined ? undefined : `${active} ${passive}`;
  } catch {
    return undefined;
  }
}
