import { execa } from "execa";
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

/** Longest time that one program may take, in milliseconds; one that does nothing at all is ended much sooner. */
const timeLimit = 10_000;

/** The only way in which this service starts a program. */
export const runCommand: RunCommand = async (file, args, input) => {
  const running = execa(file, args, {
    ...(input === undefined ? { stdin: "ignore" as const } : { input }),
    reject: false,
    timeout: timeLimit,
    killSignal: "SIGKILL",
    // A child that goes on holds the outputs open, and the wait would go on with it.
    killDescendants: true,
    // A stop waits for the program instead of ending it half way.
    cleanup: false,
    stripFinalNewline: false,
    maxBuffer: 256 * 1024 * 1024,
    env: { LC_ALL: "C" },
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
  const base = { exitCode: result.exitCode ?? null, stdout: result.stdout ?? "", stderr: result.stderr ?? "" };
  if (result.code === "ENOENT") return { ...base, failure: "not-found" };
  if (result.timedOut) return { ...base, failure: "timed-out" };
  if (hung && result.exitCode === undefined) return { ...base, failure: "hung" };
  return result.exitCode === undefined && result.code !== undefined ? { ...base, failure: result.code } : base;
};
