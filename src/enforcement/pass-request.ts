import type { DomainError } from "../domain/errors.ts";
import type { PassScope } from "./pass.ts";

/** Somebody who waits for a pass. */
export interface Waiter {
  /** Called once: true when a pass covered the request, false when its time ran out, the error when the kernel refused the rules that were asked for. */
  readonly settled: (outcome: boolean | DomainError) => void;
  /** Whether it is about rules, so that their refusal is its own. */
  readonly rules: boolean;
}

/** Requests for a pass that wait for the same next one. */
export interface PassRequest {
  scope: PassScope;
  /** The addresses that a pass over bans has to look at; null: all. */
  touched: Set<string> | null;
  /** True when somebody asked for a change, rather than time having passed or the kernel having changed. */
  asked: boolean;
  /** True when it should run now. */
  due: boolean;
  readonly waiters: Set<Waiter>;
}

const breadth: readonly PassScope[] = ["bans", "fresh-bans", "changes", "rules"];

export function emptyRequest(): PassRequest {
  return { scope: "bans", touched: new Set(), asked: false, due: false, waiters: new Set() };
}

export function widen(request: PassRequest, scope: PassScope): void {
  if (breadth.indexOf(scope) > breadth.indexOf(request.scope)) request.scope = scope;
}

/** @param addresses undefined: all */
export function touch(request: PassRequest, addresses: Iterable<string> | undefined): void {
  if (addresses === undefined) request.touched = null;
  else for (const address of addresses) request.touched?.add(address);
}

/** Puts a request that failed back in front of those that came meanwhile. */
export function mergeInto(target: PassRequest, failed: PassRequest): void {
  widen(target, failed.scope);
  touch(target, failed.touched ?? undefined);
  target.asked ||= failed.asked;
  for (const waiter of failed.waiters) target.waiters.add(waiter);
}
