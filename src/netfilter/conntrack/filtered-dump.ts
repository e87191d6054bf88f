import { createExclusive } from "../../domain/exclusive.ts";
import type { Network } from "../../domain/network.ts";
import { type OpenProgram, openProgram } from "../command/run.ts";
import type { TrackedConnection } from "./conntrack-lines.ts";
import { type AnswerEnd, createDumpAnswer, dumpRequest, isFilterable } from "./conntrack-messages.ts";

/**
 * The open TCP connections that an IPv4 address has opened, as the kernel tracks them; undefined where it can't be asked: for anybody else
 * (`isFilterable`), without the program socat or the right to, or on a kernel before 5.8. Never rejects.
 */
export type FilteredDump = (source: Network) => Promise<readonly TrackedConnection[] | undefined>;

export interface FilteredDumpOptions {
  /** Starts a program that is given bytes and gives some, a character each. */
  readonly open?: (file: string, args: readonly string[]) => OpenProgram;
  /** Milliseconds of a clock that only goes on. */
  readonly monotonic?: () => number;
  /** Milliseconds in which some of the answer has to come. */
  readonly patience?: number;
  /** Milliseconds after which a program that is not asked any more ends. */
  readonly idleLimit?: number;
}

/** Milliseconds for which nobody is asked after a failure: each costs whoever asks some time. */
const restAfterFailure = 30_000;
/** Bytes that an answer may have, those of some 10,000 connections: an address with more is sooner found in `/proc`, and others wait meanwhile. */
const longestAnswer = 2 * 1024 * 1024;
const lastSequence = 0xffff_ffff;
/**
 * Hands bytes on to and from a socket of netlink(7), which Node has none of: AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER, and sockaddr_nl behind
 * its family. A block takes what the kernel sends at a time.
 */
const [program, args] = ["socat", ["-b", "65536", "STDIO", "SOCKET-SENDTO:16:3:12:x00000000000000000000"]] as const;

/** Has the kernel itself pick the connections of an address, over a program that is kept while it is used. */
export function createFilteredDump({
  open = (file, args) => openProgram(file, args, "bytes"),
  monotonic = () => performance.now(),
  patience = 1000,
  idleLimit = 30_000,
}: FilteredDumpOptions = {}): FilteredDump {
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

  /** Ends whoever answers no more, or not what was asked for; a kernel that does not filter never will. */
  const giveUp = (end: Exclude<Outcome, "done">): undefined => {
    running?.kill();
    running = undefined;
    if (end === "unfiltered") restsUntil = Number.POSITIVE_INFINITY;
    else if (end !== "long") restsUntil = monotonic() + restAfterFailure;
    return undefined;
  };

  const ask = async (source: Network): Promise<readonly TrackedConnection[] | undefined> => {
    const asked = running ?? start();
    sequence = sequence === lastSequence ? 1 : sequence + 1;
    const answer = createDumpAnswer(source, sequence);
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    onEnd = () => resolve("failed");
    const limit = setTimeout(resolve, patience, "failed");
    let size = 0;
    const stopListening = asked.listen({
      output: (piece) => {
        limit.refresh();
        size += piece.length;
        const end = size > longestAnswer ? "long" : answer.take(Buffer.from(piece, "latin1"));
        if (end !== null) resolve(end);
      },
      errors: () => undefined,
    });
    asked.write(dumpRequest(source, sequence).toString("latin1"));
    const outcome = await promise;
    clearTimeout(limit);
    stopListening();
    onEnd = () => undefined;
    return outcome === "done" ? answer.connections : giveUp(outcome);
  };

  return (source) =>
    exclusive(async () => {
      if (!isFilterable(source) || monotonic() < restsUntil) return undefined;
      clearTimeout(idle);
      try {
        return await ask(source);
      } catch {
        // No program can be started any more: too many files are open, say.
        return giveUp("failed");
      } finally {
        idle = setTimeout(close, idleLimit).unref();
      }
    });
}

type Outcome = AnswerEnd | "failed" | "long";
