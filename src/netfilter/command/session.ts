import { createExclusive } from "../../domain/exclusive.ts";
import { createAnswer, createPaddedAnswer, createPromptedAnswer, type Mark, type Padding, type Prompting } from "./answers.ts";
import { onceQuiet } from "./quietness.ts";
import type { CommandResult, OpenProgram } from "./run.ts";

/** What became of a request: what the program said, or how it ended instead of answering. */
export type SessionAnswer =
  | { readonly answered: true; readonly output: string; readonly errors: string }
  | { readonly answered: false; readonly end: CommandResult };

/**
 * A program that goes on reading its input, so that a request costs no start of a process: 0.1 ms instead of 4 to 15 for iptables.
 * One that ends, whatever the reason, is started anew by the next request.
 */
export interface Session {
  /**
   * Sends text and waits for the line `mark`, which the text makes the program print last. One request runs at a time. Never rejects.
   * @param mark the line without its break, or, of a program that prompts, what comes between prompt and break looks like
   */
  ask(text: string, mark: Mark, manner?: AskManner): Promise<SessionAnswer>;
  /** Starts the program, if none is there, while whoever is going to ask does something else. */
  prepare(): void;
  /** The next request is answered by another program: this one has shown that it can't be relied on. */
  discard(): void;
}

export interface AskManner {
  /** Called when the program has the text, and works. */
  readonly onSent?: (() => void) | undefined;
  /** What it is likely to say: output that is equal is this very string, which spares the room for a second one. For a program that writes in blocks. */
  readonly expected?: string | undefined;
}

/** Opens a session with a program and its arguments; nothing is started before the first request. */
export type OpenSession = (file: string, args: readonly string[], manner?: SessionManner) => Session;

/** How a program is spoken to. */
export interface SessionManner {
  /** Each program is asked it first, so that nothing is in doubt about one that can't be asked anything; the answer is then that of a program that is not there. */
  readonly greeting?: Greeting;
  /** For a program that writes in blocks, which thousands of lines come sooner from, and repeats some lines. */
  readonly padding?: Padding;
  /** For one that writes in blocks and is spoken to as by a person. */
  readonly prompting?: Prompting;
}

/** A request that changes nothing, and its mark. */
export interface Greeting {
  readonly text: string;
  readonly mark: Mark;
}

/** Milliseconds that one request may take; a program that does nothing at all is ended much sooner. */
const timeLimit = 10_000;
/** A program is replaced after so many requests: iptables-nft-restore keeps 2.5 KB of each that is only a test. */
const maxRequests = 500;
/** Milliseconds for which a program that did not even begin to answer is left alone: a stand-in for it, say, that reads to the end first. */
const restAfterSilence = 30_000;
/** Characters that one answer may have. */
const maxOutput = 64 * 1024 * 1024;

/**
 * @param open starts the program so that it writes each line of output at once, or in blocks where there is a padding, or a prompt
 * @param identity another text when `open` would start another program now
 */
export function createSession(
  open: () => OpenProgram,
  identity: () => string,
  { greeting, padding, prompting }: SessionManner = {},
): Session {
  const flush = padding?.line ?? prompting?.flush ?? "";
  const answerTo = (mark: Mark, expected: string) => {
    if (typeof mark === "string") return padding === undefined ? createAnswer(mark) : createPaddedAnswer(mark, padding, expected);
    if (prompting === undefined) throw new TypeError(`a program without prompts is asked for no ${mark}`);
    return createPromptedAnswer(mark, prompting);
  };
  const exclusive = createExclusive();
  let program: OpenProgram | null = null;
  let opened = "";
  let requests = 0;
  let silent: { readonly identity: string; readonly until: number } | undefined;
  let onEnd: (end: CommandResult) => void = () => undefined;

  const isCurrent = (): boolean => program !== null && requests < maxRequests && identity() === opened;

  const start = (): OpenProgram => {
    program?.close();
    const next = open();
    [program, opened, requests] = [next, identity(), 0];
    void next.ended.then((end) => {
      if (program !== next) return;
      program = null;
      onEnd(end);
    });
    return next;
  };

  const request = async (asked: OpenProgram, text: string, mark: Mark, expected = ""): Promise<SessionAnswer> => {
    const { promise, resolve } = Promise.withResolvers<SessionAnswer>();
    const isFirst = requests === 0;
    requests += 1;
    const answer = answerTo(mark, expected);
    let failure: "timed-out" | "hung" | "ENOBUFS" | undefined;
    const kill = (why: typeof failure): void => {
      failure ??= why;
      asked.kill();
    };
    onEnd = (end) => {
      const reason = failure ?? end.failure;
      const told = { exitCode: end.exitCode, stdout: answer.output(), stderr: answer.errors() };
      resolve({ answered: false, end: reason === undefined ? told : { ...told, failure: reason } });
    };
    const stopListening = asked.listen({
      output: (piece) => {
        const wasWhole = answer.isWhole();
        if (answer.take(piece) > maxOutput) kill("ENOBUFS");
        else if (!wasWhole && answer.isWhole()) {
          const output = answer.output();
          // What it said of an error is in the other pipe, and is read by the next look at all pipes at the latest.
          setImmediate(() => setImmediate(() => resolve({ answered: true, output, errors: answer.errors() })));
        }
      },
      errors: answer.takeError,
    });
    const limit = setTimeout(kill, timeLimit, "timed-out");
    const endWatch = asked.pid === undefined ? () => undefined : onceQuiet(asked.pid, () => kill("hung"));
    asked.write(`${text}${flush}`);
    const outcome = await promise;
    if (isFirst && !outcome.answered && failure === "hung")
      silent = { identity: opened, until: performance.now() + restAfterSilence };
    clearTimeout(limit);
    endWatch();
    stopListening();
    onEnd = () => undefined;
    return outcome;
  };

  /** Starts a program and greets it; null when it does not answer. */
  const begin = async (): Promise<OpenProgram | null> => {
    if (silent?.identity === identity() && performance.now() < silent.until) return null;
    const next = start();
    if (greeting === undefined) return next;
    const answer = await request(next, greeting.text, greeting.mark);
    return answer.answered ? next : null;
  };

  const ready = async (): Promise<OpenProgram | null> => (program !== null && isCurrent() ? program : begin());

  return {
    // Whoever asks is told what is wrong.
    prepare: () => void exclusive(ready).catch(() => undefined),
    ask: (text, mark, { onSent, expected } = {}) =>
      exclusive(async () => {
        const asked = await ready();
        if (asked === null) return notThere;
        const answer = request(asked, text, mark, expected);
        onSent?.();
        return answer;
      }),
    discard: () => {
      requests = maxRequests;
    },
  };
}

const notThere: SessionAnswer = { answered: false, end: { exitCode: null, stdout: "", stderr: "", failure: "not-found" } };
