import type { Clock } from "./domain/ports.ts";

/** What systemd set in the environment for a unit of `Type=notify` (sd_notify(3), sd_watchdog_enabled(3)). */
export interface Supervision {
  /** Milliseconds without a sign of life after which the unit is killed; null: there is no watchdog. */
  readonly watchdog: number | null;
}

/** What the watchdog watches. */
export interface Progress {
  /** When the last pass ended, whatever came of it, in `Clock.monotonic` milliseconds. */
  movedAt(): number;
  /** Why the kernel is not in step; null when it is. */
  failure(): string | null;
}

/** Runs a program; never rejects. */
type Run = (
  file: string,
  args: readonly string[],
) => Promise<{ readonly exitCode: number | null; readonly stderr: string; readonly failure?: string }>;

export interface ServiceManagerOptions {
  /** null: nobody is told anything. */
  readonly supervision: Supervision | null;
  readonly run: Run;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly log: { warn(details: object, message: string): void };
}

/** Tells systemd how the service is. */
export interface ServiceManager {
  /** The service answers: units that wait for it may start. From then on the watchdog is fed and the status told. */
  ready(): void;
  /** The service ends; resolves once that is said, and nothing is said afterwards. */
  stopping(): Promise<void>;
}

/**
 * Milliseconds without the end of a pass after which the watchdog gets nothing any more. A pass is due every 2 s, also after failures, and each
 * program that it or a check before it in the queue runs is ended after 10 s: a host whose iptables hangs is no reason to be killed.
 */
const stuckAfter = 120_000;
/** Milliseconds between two messages where there is no watchdog. */
const statusEvery = 30_000;
const statusLength = 300;

/** Null when no service manager waits for messages. */
export function supervisionOf(environment: Readonly<NodeJS.ProcessEnv>, pid: number): Supervision | null {
  if (!environment["NOTIFY_SOCKET"]) return null;
  const forUs = environment["WATCHDOG_PID"] === undefined || environment["WATCHDOG_PID"] === String(pid);
  const microseconds = Number(environment["WATCHDOG_USEC"]);
  return { watchdog: forUs && microseconds > 0 ? microseconds / 1000 : null };
}

/**
 * Speaks through the program systemd-notify, as Node has no datagram sockets of AF_UNIX. systemd takes a message for the unit's own by its sender's
 * control group, so the unit needs `NotifyAccess=all`; systemd-notify ends only when the message was read, and so is still there to be looked up.
 */
export function createServiceManager({ supervision, run, clock, progress, log }: ServiceManagerOptions): ServiceManager {
  let cancelBeat: () => void = () => undefined;
  let saying: Promise<void> = Promise.resolve();
  let refused = false;

  /** One message at a time, so that they arrive in order. */
  const say = (...assignments: readonly string[]): Promise<void> => {
    if (supervision === null) return saying;
    saying = saying.then(async () => {
      const { exitCode, stderr, failure } = await run("systemd-notify", assignments);
      if (exitCode === 0 || refused) return;
      refused = true;
      log.warn(
        { program: "systemd-notify", reason: failure ?? `exit code ${exitCode}: ${stderr.trim()}` },
        "systemd could not be told how this service is; the program is part of the package systemd",
      );
    });
    return saying;
  };

  const beat = (period: number): void => {
    cancelBeat = clock.after(period, () => beat(period));
    const idle = clock.monotonic() - progress.movedAt();
    if (idle >= stuckAfter) void say(`STATUS=stuck: no pass over the kernel's rules has ended for ${Math.round(idle / 1000)} s`);
    else void say(...(supervision?.watchdog ? ["WATCHDOG=1"] : []), statusOf(progress));
  };

  return {
    ready: () => {
      if (supervision === null) return;
      void say("READY=1", statusOf(progress));
      const period = supervision.watchdog === null ? statusEvery : supervision.watchdog / 2;
      cancelBeat = clock.after(period, () => beat(period));
    },
    stopping: () => {
      cancelBeat();
      return say("STOPPING=1", "STATUS=stopping; the rules stay in the kernel");
    },
  };
}

function statusOf(progress: Progress): string {
  const failure = progress.failure();
  // A new line would begin another assignment.
  const text = failure === null ? "the kernel is in step" : `not in step: ${failure.replaceAll(/[\p{Cc}\s]+/gu, " ")}`;
  return `STATUS=${text.slice(0, statusLength)}`;
}
