import { spawn } from "node:child_process";
import type { Socket } from "node:net";
import { join } from "node:path";
import { framed, number, readFrames, textsOf } from "./frames.ts";

/** A command to run; `namespace`: the network namespace it is for, empty for that of the tests. */
export interface Command {
  readonly namespace: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly input: string;
}

export interface CommandResult {
  /** -1: ended by a signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Runner {
  run(command: Command): Promise<CommandResult>;
  kill(namespace: string): void;
}

/** What a command may take, in seconds; then it gets a SIGTERM. */
const limit = 30;

let current: Runner | undefined;

/**
 * Runs a command with LC_ALL=C and resolves once it has ended and closed its outputs. Node would need 10 to 30 ms for a start, during
 * which everything in this process waits; command-runner.pl, which is started with the first command and ends with this process, needs 3.
 */
export function runCommand(command: Command): Promise<CommandResult> {
  current ??= startRunner(() => {
    current = undefined;
  });
  return current.run(command);
}

/** Kills what runs in a namespace. */
export function killCommands(namespace: string): void {
  current?.kill(namespace);
}

function startRunner(ended: () => void): Runner {
  const child = spawn("perl", [join(import.meta.dirname, "command-runner.pl")], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, LC_ALL: "C" },
  });
  const waiting = new Map<number, PromiseWithResolvers<CommandResult>>();
  let nextId = 1;
  /** While nothing runs it is no reason for this process to live. */
  const heed = (): void => {
    for (const stream of [child, child.stdin as Socket, child.stdout as Socket]) {
      if (waiting.size === 0) stream.unref();
      else stream.ref();
    }
  };
  readFrames(child.stdout, (frame) => {
    const [id, code] = [frame.readUInt32BE(0), frame.readInt32BE(4)];
    const [stdout = "", stderr = ""] = textsOf(frame.subarray(8));
    waiting.get(id)?.resolve({ code, stdout, stderr });
    waiting.delete(id);
    heed();
  });
  const fail = (error: Error): void => {
    ended();
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    heed();
  };
  child.once("error", fail);
  child.once("close", (code, signal) => fail(new Error(`what runs commands ended with ${signal ?? code}`)));
  child.stdin.on("error", () => {});

  const send = (id: number, namespace: string, ...texts: readonly string[]): void => {
    const body = [number(id), number(limit), ...[namespace, ...texts].flatMap(framed)];
    child.stdin.write(Buffer.concat(framed(Buffer.concat(body))));
  };
  return {
    run({ namespace, program, args, input }) {
      const id = nextId++;
      const result = Promise.withResolvers<CommandResult>();
      waiting.set(id, result);
      heed();
      send(id, namespace, input, program, ...args);
      return result.promise;
    },
    kill: (namespace) => send(0, namespace),
  };
}
