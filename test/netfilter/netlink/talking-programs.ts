import type { CommandResult, OpenProgram } from "../../../src/netfilter/command/run.ts";

/** What a program does with a request of that number: says some things, or ends. */
export type Behaviour = (sequence: number) => readonly Buffer[] | "ends";

/** Programs that hand on bytes and do as they are told, and what became of these. */
export function createTalkingPrograms(behaviour: Behaviour) {
  let now = 0;
  let current = behaviour;
  const started: string[] = [];
  const ended: string[] = [];
  const requests: string[] = [];
  let endLast: () => void = () => undefined;
  const open = (file: string, args: readonly string[]): OpenProgram => {
    started.push([file, ...args].join(" "));
    const { promise, resolve } = Promise.withResolvers<CommandResult>();
    let listener: Parameters<OpenProgram["listen"]>[0] | undefined;
    const finish = (how: string): void => {
      ended.push(how);
      resolve({ exitCode: 0, stdout: "", stderr: "" });
    };
    endLast = () => finish("by itself");
    return {
      pid: 1,
      write: (text) => {
        const request = Buffer.from(text, "latin1");
        requests.push(request.toString("hex"));
        const said = current(request.readUInt32LE(8));
        if (said === "ends") finish("by itself");
        else for (const piece of said) setImmediate(() => listener?.output(piece.toString("latin1")));
      },
      listen: (next) => {
        listener = next;
        return () => {
          listener = undefined;
        };
      },
      close: () => finish("closed"),
      kill: () => finish("killed"),
      ended: promise,
    };
  };
  return {
    open,
    /** Milliseconds, of a clock that goes on with `pass`. */
    monotonic: () => now,
    started,
    ended,
    /** In hexadecimal. */
    requests,
    become: (next: Behaviour) => {
      current = next;
    },
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
    endProgram: () => endLast(),
  };
}
