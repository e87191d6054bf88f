import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { answerRaw } from "./problems/client-errors.ts";
import { overloaded } from "./problems/problem-from-error.ts";

/** Connections that all listeners together hold at a time. */
export const maxConnections = 256;

/** Bounds the connections of several servers together. */
export interface ConnectionLimit {
  /** Counts the connections of `server` from now on; before it listens. */
  watch(server: Server): void;
}

export interface ConnectionLimitOptions {
  readonly limit?: number;
  /** Told when connections are ended for others, at most once a minute. */
  readonly log: { warn(details: object, message: string): void };
}

interface Connection {
  readonly socket: Socket;
  /** The other side of a TCP connection; two open ones of a server differ in it. */
  readonly peer: string;
  /** Answers that are not over. */
  readonly answers: Set<ServerResponse>;
  /** Whether it ever sent a whole request and took its answer. */
  proven: boolean;
  /** Its place in the order of connecting, or of the last answer. */
  turn: number;
}

/** In the order in which connections have to go. */
const standings = ["never sent a request", "waits for a request", "does not take its answer", "is being served"] as const;

/** Milliseconds between two messages about connections that had to go. */
const quietTime = 60_000;

/** Milliseconds in which those who have just come can speak before anybody has to go: many may come at once. */
const hearing = 100;

/** How many times the limit there may be for as long as that. */
const crowd = 4;

/**
 * Where there are more, those go that were of no use the longest: first those that never sent a whole request, however busily they
 * dribble, so that slow clients push out each other and nobody else. Only where all places belong to requests that are being served,
 * which takes two seconds at most, a new connection is refused.
 */
export function createConnectionLimit({ limit = maxConnections, log }: ConnectionLimitOptions): ConnectionLimit {
  const open = new Set<Connection>();
  const bySocket = new WeakMap<Socket, Connection>();
  let turns = 0;
  let ended = 0;
  let quietUntil = 0;
  let isTidying = false;

  const end = (count: number): void => {
    const useless = [...open].filter((connection) => !isServed(connection)).sort(bySeniority);
    for (const connection of useless.slice(0, Math.max(0, count))) {
      // The socket's own event comes too late for whoever connects in the same turn of the event loop.
      open.delete(connection);
      connection.socket.destroy();
      ended += 1;
    }
    if (ended === 0 || performance.now() < quietUntil) return;
    quietUntil = performance.now() + quietTime;
    log.warn({ limit, ended }, "too many connections: those that were of no use the longest are ended");
    ended = 0;
  };

  const tidySoon = (): void => {
    if (isTidying) return;
    isTidying = true;
    const tidy = (): void => {
      isTidying = false;
      end(open.size - limit);
    };
    setTimeout(tidy, hearing).unref();
  };

  const enter = (socket: Socket, isPlain: boolean): void => {
    if (open.size >= limit && open.values().every(isServed)) {
      if (isPlain) answerRaw(socket, overloaded("All connections that the service takes are in use."));
      else socket.destroy();
      return;
    }
    if (open.size >= limit * crowd) end(1);
    const connection = { socket, peer: peerOf(socket), answers: new Set<ServerResponse>(), proven: false, turn: turns++ };
    open.add(connection);
    bySocket.set(socket, connection);
    socket.once("close", () => open.delete(connection));
    if (open.size > limit) tidySoon();
  };

  const serve = (connection: Connection, response: ServerResponse): void => {
    connection.answers.add(response);
    response.once("close", () => {
      connection.answers.delete(response);
      if (!response.req.complete) return;
      connection.proven = true;
      connection.turn = turns++;
    });
  };

  return {
    watch: (server) => {
      const isPlain = !("setSecureContext" in server);
      server.on("connection", (socket) => enter(socket, isPlain));
      // What comes out of the handshake is another object than what was accepted.
      server.on("secureConnection", (secured: Socket) => {
        const peer = peerOf(secured);
        const connection = [...open].find((candidate) => candidate.peer === peer);
        if (connection) bySocket.set(secured, connection);
      });
      server.on("request", ({ socket }, response) => {
        const connection = bySocket.get(socket);
        if (connection) serve(connection, response);
      });
    },
  };
}

/** Who has to go first comes first. */
function bySeniority(one: Connection, other: Connection): number {
  return standings.indexOf(standingOf(one)) - standings.indexOf(standingOf(other)) || one.turn - other.turn;
}

function isServed(connection: Connection): boolean {
  return standingOf(connection) === "is being served";
}

function standingOf({ answers, proven }: Connection): (typeof standings)[number] {
  const whole = [...answers].filter(({ req }) => req.complete);
  if (whole.some(({ writableEnded }) => !writableEnded)) return "is being served";
  if (whole.length > 0) return "does not take its answer";
  return proven ? "waits for a request" : "never sent a request";
}

/** The service listens on several addresses, so that the own side belongs to it. */
function peerOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): string {
  return `${localAddress} ${localPort} ${remoteAddress} ${remotePort}`;
}
