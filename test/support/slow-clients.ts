import { connect, type NetConnectOpts, type Socket } from "node:net";

/** What slow clients do: say nothing, never end their headers, never end a body, or never read an answer. */
export type Slowness = "silent" | "headers" | "body" | "reading";

export interface SlowClientsOptions {
  readonly target: NetConnectOpts;
  readonly count: number;
  /** Header fields that let a request in, as they stand in it. */
  readonly access: string;
  readonly slowness: readonly Slowness[];
  /** Milliseconds between two bytes. */
  readonly pace: number;
  /** Milliseconds after which one that was cut off comes again. */
  readonly comeback: number;
}

/** Clients that hold connections and are of no use to anybody. */
export interface SlowClients {
  /** How many hold a connection now. */
  held(): number;
  /** How many were cut off until now. */
  cutOff(): number;
  stop(): void;
}

/** Starts them all at once; each comes again when it is cut off. */
export function startSlowClients({ target, count, access, slowness, pace, comeback }: SlowClientsOptions): SlowClients {
  const open = new Set<Socket>();
  let ended = 0;
  let isStopped = false;

  const begin = (kind: Slowness): void => {
    if (isStopped) return;
    const socket = connect(target);
    open.add(socket);
    let timer: NodeJS.Timeout | undefined;
    socket.once("connect", () => {
      socket.write(opening(kind, access));
      const more = kind === "headers" ? "X-A: b\r\n" : " ";
      if (kind === "headers" || kind === "body") timer = setInterval(() => socket.write(more), pace);
    });
    if (kind === "reading") socket.pause();
    else socket.resume();
    socket
      .on("error", () => {})
      .once("close", () => {
        clearInterval(timer);
        open.delete(socket);
        ended += 1;
        setTimeout(begin, comeback, kind).unref();
      });
  };

  for (let n = 0; n < count; n += 1) begin(slowness[n % slowness.length] ?? "silent");
  return {
    held: () => [...open].filter(({ connecting, destroyed }) => !connecting && !destroyed).length,
    cutOff: () => ended,
    stop: () => {
      isStopped = true;
      for (const socket of open) socket.destroy();
    },
  };
}

function opening(kind: Slowness, access: string): string {
  if (kind === "silent") return "";
  if (kind === "headers") return `GET /v1/policies HTTP/1.1\r\n${access}`;
  if (kind === "reading") return `GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\n${access}\r\n`;
  return `POST /v1/bans/batch HTTP/1.1\r\n${access}Content-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{`;
}
