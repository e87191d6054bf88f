import { DomainError } from "../domain/errors.ts";
import type { Clock, Desired, Enforcer, Firewall, Glance, PassReport, Store } from "../domain/ports.ts";
import { createPass, type PassScope } from "./pass.ts";
import { emptyRequest, mergeInto, type PassRequest, touch, type Waiter, widen } from "./pass-request.ts";
import { createPolicyStatus } from "./policy-status.ts";
import { createRepairLog, type Repair } from "./repair-log.ts";

/** All in milliseconds. */
const times = {
  /** Between two looks at the rules when nobody asks for anything. */
  look: 2000,
  /** Between two glances at the lists, which tell a flush and new bans. */
  glance: 100,
  /** Between two readings of bans while packets keep making new ones. */
  reading: 200,
  /** Until a reading that makes the ends of new bans precise. */
  refinement: 270,
  /** From the begin of a failed pass, at least 25 ms after its end, until the next try: at first, and at most. */
  firstRetry: 25,
  lastRetry: 1000,
  /** After which a pass that still runs is told as a failure. */
  longPass: 2500,
  /** That a write may have taken until it is answered with "pending"; and that it waits for its pass at least. */
  settle: 1700,
  leastSettle: 100,
} as const;

export interface ReconcilerLog {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export interface ReconcilerOptions {
  readonly store: Store;
  readonly firewall: Firewall;
  readonly clock: Clock;
  readonly log: ReconcilerLog;
}

export interface Reconciler extends Enforcer {
  /** Makes the first pass and keeps the kernel in step from then on; resolves after the first pass, whatever came of it. */
  start(): Promise<void>;
  /** Lets the pass that runs end, and begins no other. The kernel keeps its rules. */
  stop(): Promise<void>;
  /** What was put right since the start although nobody had asked for a change. */
  repairs(): { readonly count: number; readonly latest: readonly Repair[] };
  /** When the last pass that left the kernel in step ended, in milliseconds since the epoch; null before the first. */
  lastPassAt(): number | null;
  /** When the last pass ended, whatever came of it, or else the start, in `Clock.monotonic` milliseconds. */
  movedAt(): number;
}

/** Runs one pass at a time over store and kernel: on request, at ends of bans, after failures, when the kernel changed, and at a bounded interval. */
export function createReconciler({ store, firewall, clock, log }: ReconcilerOptions): Reconciler {
  const pass = createPass({ store, firewall, clock });
  const status = createPolicyStatus();
  const repairs = createRepairLog();
  let next: PassRequest = emptyRequest();
  let current: PassRequest | null = null;
  let running: Promise<void> | null = null;
  let cancelTimer: () => void = () => undefined;
  let cancelGlance: () => void = () => undefined;
  let failure: string | null = "the first pass over the kernel's rules has not ended yet";
  /** Policies that the kernel refuses, each with its message; it holds all others. */
  let refused: ReadonlyMap<string, string> = new Map();
  let lastPassAt: number | null = null;
  let movedAt = clock.monotonic();
  let failures = 0;
  let begun = 0;
  let unrecorded = 0;
  let carried: ReadonlySet<string> = new Set();
  let nextLook = 0;
  let nextReading = 0;
  let nextRefinement = Number.POSITIVE_INFINITY;
  let nextEnd = Number.POSITIVE_INFINITY;
  let stopped = false;

  /** Why the kernel is not in step with all that is stored. */
  const unfinished = (): string | null => failure ?? reasonOf(refused);

  const perform = async (request: PassRequest): Promise<void> => {
    const now = clock.monotonic();
    begun = now;
    if (unfinished() !== null || now >= nextLook) widen(request, "rules");
    if (now >= nextRefinement) widen(request, "fresh-bans");
    // What has ended, or was made by packets, is nobody's request.
    if (request.scope !== "bans" || pass.untilNextEnd() <= 0 || nextEnd <= clock.now()) touch(request, undefined);
    try {
      const outcome = await pass.run(request.scope, request.touched, !request.waiters.values().some((waiter) => waiter.rules));
      const { report, desired } = outcome;
      succeed(request, report);
      noteRefused(outcome.refused);
      if (request.scope === "rules" || request.scope === "changes") {
        status.confirmed(
          desired.policies.filter(({ name }) => !refused.has(name)),
          clock.now(),
        );
      }
      for (const waiter of request.waiters) waiter.settled(true);
      await record(report, desired);
    } catch (error) {
      fail(request, error);
    }
  };

  /** What the kernel did by itself is in memory as well: a store that can't take it now is asked again after the next pass. */
  const record = async (report: PassReport, desired: Desired): Promise<void> => {
    try {
      // A lift that somebody asked for meanwhile may be of the same address: the next pass does both, once.
      const done = desired.lifts.filter((address) => next.waiters.size === 0 || carried.has(address));
      carried = new Set(desired.lifts.filter((address) => !done.includes(address)));
      await pass.record(report, done);
      unrecorded = 0;
    } catch (error) {
      unrecorded += 1;
      if (unrecorded === 1) log.warn({ reason: String(error) }, "what became of bans could not be stored");
    }
  };

  const noteRefused = (policies: ReadonlyMap<string, string>): void => {
    const before = reasonOf(refused);
    refused = policies;
    const reason = reasonOf(refused);
    if (reason === before) return;
    if (reason === null) log.info({}, "the kernel takes all policies again");
    else log.warn({ reason }, "the kernel refuses policies; it holds all others, and the service goes on trying");
  };

  const succeed = (request: PassRequest, report: PassReport): void => {
    if (failures > 0) log.info({ failures }, "the kernel is in step again");
    failures = 0;
    failure = null;
    lastPassAt = clock.now();
    const now = clock.monotonic();
    if (request.scope === "rules") nextLook = now + times.look;
    nextReading = now + times.reading;
    nextRefinement = report.imprecise ? now + times.refinement : Number.POSITIVE_INFINITY;
    nextEnd = report.nextEnd ?? Number.POSITIVE_INFINITY;
    if (request.asked || report.found.length === 0) return;
    repairs.note(report, clock.now());
    log.warn(
      { found: report.found.slice(0, 20), differences: report.found.length, writes: report.writes },
      "the kernel differed and was put right",
    );
  };

  const fail = (request: PassRequest, error: unknown): void => {
    failures += 1;
    failure = error instanceof Error ? error.message : String(error);
    if (failures === 1)
      log.warn(
        { reason: failure },
        "the kernel could not be brought in step; it keeps what it has, and the service goes on trying",
      );
    if (error instanceof DomainError) {
      for (const waiter of request.waiters) if (waiter.rules) waiter.settled(error);
    }
    mergeInto(next, request);
  };

  const run = (): void => {
    cancelTimer();
    if (stopped || running !== null) return;
    const request = next;
    current = request;
    next = emptyRequest();
    running = perform(request).finally(() => {
      running = null;
      movedAt = clock.monotonic();
      schedule();
    });
  };

  /** Requests that come in the same turn of the event loop share one pass. */
  const soon = (): void => {
    cancelTimer();
    const immediate = setImmediate(run);
    cancelTimer = () => clearImmediate(immediate);
  };

  const schedule = (): void => {
    cancelTimer();
    if (stopped || running !== null) return;
    if (failures > 0) {
      const pause = Math.min(times.lastRetry, times.firstRetry * 2 ** (failures - 1));
      // A program that hung until it was ended is not waited for once more.
      cancelTimer = clock.after(Math.max(times.firstRetry, begun + pause - clock.monotonic()), run);
    } else if (next.due) soon();
    else {
      const wake = Math.min(nextLook, nextRefinement) - clock.monotonic();
      cancelTimer = clock.after(Math.max(0, Math.min(wake, pass.untilNextEnd(), nextEnd - clock.now())), run);
    }
  };

  const request = (scope: PassScope, touched?: readonly string[]): void => {
    widen(next, scope);
    touch(next, touched);
    next.due = true;
    if (running === null) soon();
  };

  /** Sees a flush or new bans without starting a program. */
  const glance = (): void => {
    cancelGlance = clock.after(times.glance, glance);
    if (running !== null || failures > 0) return;
    const { flushed, activity } = glanceOrFail();
    if (flushed) request("rules");
    else if ((activity && clock.monotonic() >= nextReading) || pass.untilNextEnd() <= 0 || nextEnd <= clock.now())
      request("bans");
  };

  /** Lists that can't be looked at are a matter for a pass, which says so. */
  const glanceOrFail = (): Glance => {
    try {
      return firewall.glance();
    } catch {
      return { flushed: true, activity: false };
    }
  };

  const overdue = (): string | null => {
    const took = clock.monotonic() - begun;
    if (failure !== null || running === null || took < times.longPass) return failure;
    return `a pass over the kernel's rules has been running for ${Math.floor(took / 1000)} s`;
  };

  const failureNow = (): string | null => overdue() ?? unfinished();

  return {
    start: async () => {
      firewall.recall(store.kernelBans());
      next.asked = true;
      widen(next, "rules");
      run();
      await running;
      if (!stopped) glance();
    },
    stop: async () => {
      stopped = true;
      cancelTimer();
      cancelGlance();
      await running;
    },
    failure: failureNow,
    inStep: () => failureNow() === null,
    repairs: () => ({ count: repairs.count(), latest: repairs.latest() }),
    lastPassAt: () => lastPassAt,
    movedAt: () => movedAt,
    enforcementOf: (policy) => status.of(policy, overdue() ?? refused.get(policy.name) ?? null),
    settle: (scope, since, touched) =>
      new Promise((resolve, reject) => {
        const waiter: Waiter = {
          rules: scope === "rules",
          settled: (outcome) => {
            cancel();
            for (const request of [next, current]) request?.waiters.delete(waiter);
            if (outcome instanceof DomainError) reject(outcome);
            else resolve(outcome);
          },
        };
        const left = (since ?? clock.monotonic()) + times.settle - clock.monotonic();
        const cancel = clock.after(Math.max(times.leastSettle, left), () => waiter.settled(false));
        next.asked = true;
        next.waiters.add(waiter);
        request(scope === "rules" ? "changes" : scope, touched);
      }),
  };
}

function reasonOf(refused: ReadonlyMap<string, string>): string | null {
  const [first] = refused;
  if (first === undefined) return null;
  const others = refused.size === 1 ? "" : ` and ${refused.size - 1} more`;
  return `the kernel refuses the policy ${first[0]}${others}: ${first[1]}`;
}
