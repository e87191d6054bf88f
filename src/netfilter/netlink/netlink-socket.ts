import { createExclusive } from "../../domain/exclusive.ts";
import { type OpenProgram, openProgram } from "../command/run.ts";

/** A request, and who reads what the kernel says to it. */
export interface Exchange<End extends string> {
  readonly request: Buffer;
  /** Takes what has come, in pieces of any size. @returns how the answer ended; null until it has */
  take(piece: Buffer): End | null;
}

/** `failed`: the kernel can't be asked, or did not answer; `long`: its answer is longer than anybody waits for. */
export type Outcome<End extends string> = End | "failed" | "long";

/** Asks netfilter over a socket of netlink(7), one after the other. */
export interface NetlinkSocket {
  /**
   * Never rejects. Whoever did not answer with `done` is asked no more, and after a failure nobody for a while: each costs who asks some time.
   * @param exchange makes the request of that number
   */
  ask<End extends string>(exchange: (sequence: number) => Exchange<End | "done">): Promise<Outcome<End | "done">>;
  /** Starts the program, while whoever is going to ask does something else. */
  prepare(): void;
}

export interface NetlinkSocketOptions {
  /** Starts a program that is given bytes and gives some, a character each. */
  readonly open?: (file: string, args: readonly string[]) => OpenProgram;
  /** Milliseconds of a clock that only goes on. */
  readonly monotonic?: () => number;
  /** Milliseconds in which some of the answer has to come. */
  readonly patience?: number;
  /** Milliseconds after which a program that is not asked any more ends. */
  readonly idleLimit?: number;
}

/** Milliseconds for which nobody is asked after a failure. */
const restAfterFailure = 30_000;
/** Bytes that an answer may have. */
const longestAnswer = 2 * 1024 * 1024;
const lastSequence = 0xffff_ffff;
/**
 * Hands bytes on to and from such a socket, which Node has none of: AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, and sockaddr_nl behind its family. A
 * block takes what the kernel sends at a time.
 */
const [program, args] = ["socat", ["-b", "65536", "STDIO", "SOCKET-SENDTO:16:3:12:x00000000000000000000"]] as const;

/** Over a program that is kept while it is used. */
export function createNetlinkSocket({
  open = (file, args) => openProgram(file, args, "bytes"),
  monotonic = () => performance.now(),
  patience = 1000,
  idleLimit = 30_000,
}: NetlinkSocketOptions = {}): NetlinkSocket {
  const exclusive = createExclusive();
  let running: OpenProgram | undefined;
  let idle: NodeJS.Timeout | undefined;
  let restsUntil = Number.NEGATIVE_INFINITY;
  let sequence = 0;
  let onEnd: () => void = () => undefined;

  const start = (): OpenProgram => {
    const next = open(program, args);
    void next.ended.then(() => {
      if (running !== next) return;
      running = undefined;
      onEnd();
    });
    running = next;
    return next;
  };

  const close = (): void => {
    running?.close();
    running = undefined;
  };

  const giveUp = <End extends string>(outcome: End): End => {
    running?.kill();
    running = undefined;
    if (outcome !== "long") restsUntil = monotonic() + restAfterFailure;
    return outcome;
  };

  const exchanged = async <End extends string>(exchange: (sequence: number) => Exchange<End>): Promise<Outcome<End>> => {
    const asked = running ?? start();
    sequence = sequence === lastSequence ? 1 : sequence + 1;
    const { request, take } = exchange(sequence);
    const { promise, resolve } = Promise.withResolvers<Outcome<End>>();
    onEnd = () => resolve("failed");
    // What has come while this process did something else is read before its time is over.
    const limit = setTimeout(() => setImmediate(resolve, "failed"), patience);
    let size = 0;
    const stopListening = asked.listen({
      output: (piece) => {
        limit.refresh();
        size += piece.length;
        const end = size > longestAnswer ? "long" : take(Buffer.from(piece, "latin1"));
        if (end !== null) resolve(end);
      },
      errors: () => undefined,
    });
    asked.write(request.toString("latin1"));
    const outcome = await promise;
    clearTimeout(limit);
    stopListening();
    onEnd = () => undefined;
    return outcome === "done" ? outcome : giveUp(outcome);
  };

  const restLater = (): void => {
    clearTimeout(idle);
    idle = setTimeout(close, idleLimit).unref();
  };

  return {
    prepare: () => {
      if (running !== undefined || monotonic() < restsUntil) return;
      try {
        start();
        restLater();
      } catch {
        giveUp("failed");
      }
    },
    ask: (exchange) =>
      exclusive(async () => {
        if (monotonic() < restsUntil) return "failed";
        clearTimeout(idle);
        try {
          return await exchanged(exchange);
        } catch {
          // No program can be started any more: too many files are open, say.
          return giveUp("failed");
        } finally {
          restLater();
        }
      }),
  };
}
