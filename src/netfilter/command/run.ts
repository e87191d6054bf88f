import { execa } from "execa";
import { openOutputFile, type Room } from "./output-file.ts";
import { onceQuiet } from "./quietness.ts";

/** What a program answered. */
export interface CommandResult {
  /** `null`: it did not end by itself (a signal, the time limit). */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it could not run to its end: `not-found`, `timed-out`, `hung`, or another system error's code. */
  readonly failure?: string;
}

/** Runs a program by its name and arguments, without a shell; never rejects. */
export type RunCommand = (file: string, args: readonly string[], input?: string) => Promise<CommandResult>;

/** A program that was started and reads on. */
export interface OpenProgram {
  /** Undefined when it could not be started. */
  readonly pid: number | undefined;
  /** In the same encoding as the output. */
  write(text: string): void;
  /** Hands on what it prints from now on, and keeps this process alive for it. @returns ends both */
  listen(listener: { readonly output: (piece: string) => void; readonly errors: (piece: string) => void }): () => void;
  /** Ends its input, upon which it ends by itself, or is ended after a while. */
  close(): void;
  /** Ends it at once. */
  kill(): void;
  /** Resolves when it has ended; the outputs are those that nobody listened to, which is none. */
  readonly ended: Promise<CommandResult>;
}

/** Longest time that one program may take, in milliseconds; one that does nothing at all is ended much sooner. */
const timeLimit = 10_000;
/** Milliseconds in which a program has to end after its input. */
const endLimit = 5000;
const always = {
  reject: false,
  // A child that goes on holds the outputs open, and the wait would go on with it.
  killDescendants: true,
  // A stop waits for the program instead of ending it half way.
  cleanup: false,
  stripFinalNewline: false,
  // Programs that have thousands of rules in memory touch it in pages of 2 MB, where the host lets who asks have them: faults are most of their time.
  env: { LC_ALL: "C", GLIBC_TUNABLES: "glibc.malloc.hugetlb=1:glibc.malloc.top_pad=8388608" },
} as const;

/** Runs a program to its end. With `createFileRun` and `openProgram` the only way in which this service starts one. */
export const runCommand: RunCommand = (file, args, input) => runToEnd(file, args, input, { maxBuffer: 256 * 1024 * 1024 });

/**
 * Runs programs whose output goes into a file without a name, so that each comes to its end whether this process has time to read or not: a pipe takes some
 * hundred KB. Where there can be no such file, or little room, as `runCommand`.
 * @param directory where the file is
 */
export function createFileRun(directory: string, room?: Room): RunCommand {
  let runs = 0;
  return async (file, args, input) => {
    runs += 1;
    const output = openOutputFile(`${directory}/output-${runs}`, room);
    if (output === undefined) return runCommand(file, args, input);
    try {
      // Any number will do; the types have the first ten.
      const result = await runToEnd(file, args, input, { stdout: output.descriptor as 3 });
      const stdout = output.read();
      return stdout === undefined ? { ...result, failure: "ENOBUFS" } : { ...result, stdout };
    } finally {
      output.close();
    }
  };
}

async function runToEnd(
  file: string,
  args: readonly string[],
  input: string | undefined,
  output: { readonly maxBuffer: number } | { readonly stdout: 3 },
): Promise<CommandResult> {
  const running = execa(file, args, {
    ...(input === undefined ? { stdin: "ignore" as const } : { input }),
    timeout: timeLimit,
    killSignal: "SIGKILL",
    ...output,
    ...always,
  });
  let hung = false;
  const endWatch =
    running.pid === undefined
      ? () => undefined
      : onceQuiet(running.pid, () => {
          hung = true;
          running.kill("SIGKILL");
        });
  const result = await running;
  endWatch();
  return resultOf(result, hung);
}

/** Bytes of output that a program gathers before it writes them, where it writes in blocks. */
export const blockSize = 8192;
const bufferings = { lines: "-oL", blocks: `-o${blockSize}` } as const;

/**
 * Starts a program that goes on reading its input, without a shell.
 * @param output whether its output comes line by line, or only when there is another block of it; `stdbuf` of coreutils sees to that. `bytes`: as the
 * program itself writes it, and text of either direction has one character for each byte
 */
export function openProgram(file: string, args: readonly string[], output: "lines" | "blocks" | "bytes" = "lines"): OpenProgram {
  const [command, words] = output === "bytes" ? [file, args] : ["stdbuf", [bufferings[output], file, ...args]];
  const encoding = output === "bytes" ? "latin1" : "utf8";
  const running = execa(command, words, { ...always, stdin: "pipe", buffer: false });
  const { stdin, stdout, stderr, nodeChildProcess } = running;
  // Its input can be closed before it has read all; that it has ended is told by `ended`.
  stdin.on("error", () => undefined);
  for (const stream of [stdout, stderr])
    stream
      .setEncoding(encoding)
      .on("error", () => undefined)
      .resume();
  const handles = [nodeChildProcess, stdin, stdout, stderr] as readonly Partial<Pick<NodeJS.Timeout, "ref" | "unref">>[];
  const release = (): void => {
    for (const handle of handles) handle.unref?.();
  };
  release();
  return {
    pid: running.pid,
    write: (text) => void stdin.write(text, encoding),
    listen: ({ output, errors }) => {
      stdout.on("data", output);
      stderr.on("data", errors);
      for (const handle of handles) handle.ref?.();
      return () => {
        stdout.off("data", output);
        stderr.off("data", errors);
        release();
      };
    },
    close: () => {
      stdin.end();
      const limit = setTimeout(() => running.kill("SIGKILL"), endLimit).unref();
      void running.then(() => clearTimeout(limit));
    },
    kill: () => void running.kill("SIGKILL"),
    ended: running.then((result) => resultOf({ ...result, stdout: "", stderr: "" }, false)),
  };
}

interface Ended {
  readonly exitCode?: number | undefined;
  readonly stdout?: string | undefined;
  readonly stderr?: string | undefined;
  readonly code?: string | undefined;
  readonly timedOut: boolean;
}

function resultOf(result: Ended, hung: boolean): CommandResult {
  const base = { exitCode: result.exitCode ?? null, stdout: result.stdout ?? "", stderr: result.stderr ?? "" };
  if (result.code === "ENOENT") return { ...base, failure: "not-found" };
  if (result.timedOut) return { ...base, failure: "timed-out" };
  if (hung && result.exitCode === undefined) return { ...base, failure: "hung" };
  return result.exitCode === undefined && result.code !== undefined ? { ...base, failure: result.code } : base;
}
