import type { OperatorBan } from "./ban.ts";
import { DomainError, type FieldError } from "./errors.ts";
import {
  type Family,
  formatNetwork,
  isSingleAddress,
  type Network,
  NetworkSyntaxError,
  overlaps,
  parseAddress,
  parseNetwork,
} from "./network.ts";
import type { BanRoom } from "./ports.ts";
import type { BanRequest } from "./services.ts";
import { textFault } from "./text-rules.ts";

/** Ten years, in seconds: longer is a mistake for "until removed". */
export const maxTtlSeconds = 315_360_000;

/** A year, in seconds: longer is a mistake for an exemption. */
export const maxGraceSeconds = 31_536_000;

/** Reads a network that a caller wrote at `pointer`. @throws {DomainError} `invalid-input` */
export function networkFrom(text: string, pointer: string): Network {
  return parseAt(parseNetwork, text, pointer);
}

/** The same for one address. @throws {DomainError} `invalid-input` */
export function addressFrom(text: string, pointer: string): Network {
  return parseAt(parseAddress, text, pointer);
}

/** What decides whether a network can be banned at all. */
export interface BanTerms {
  /** Never banned. */
  readonly protectedNetworks: readonly Network[];
  readonly room: BanRoom;
}

/** Why a network can't be banned. */
export interface BanObstacle {
  readonly code: "lockout" | "network-unsupported";
  readonly message: string;
}

/** Why nobody may ban `network` under these terms; `undefined` when it can be banned. */
export function banObstacle(network: Network, { protectedNetworks, room }: BanTerms): BanObstacle | undefined {
  const shield = protectedNetworks.find((candidate) => overlaps(candidate, network));
  if (shield !== undefined) {
    const message = `Protected networks can't be banned: ${formatNetwork(network)} is in or overlaps ${formatNetwork(shield)}, which CONNLIMITD_PROTECT protects (loopback always is).`;
    return { code: "lockout", message };
  }
  if (isSingleAddress(network) || room.networks) return undefined;
  const message = `${formatNetwork(network)} is a network, and this host can only ban single addresses. The remedy: ${room.remedy}.`;
  return { code: "network-unsupported", message };
}

/** @throws {DomainError} `network-unsupported`, `lockout` */
export function assertBannable(network: Network, terms: BanTerms): void {
  const obstacle = banObstacle(network, terms);
  if (obstacle !== undefined) throw new DomainError(obstacle.code, obstacle.message);
}

/** Every field that is wrong. `now` in milliseconds since the epoch. */
export function banRequestErrors({ reason, expiry }: BanRequest, now: number): readonly FieldError[] {
  const errors: FieldError[] = [];
  const reasonFault = textFault(reason);
  if (reasonFault !== undefined) errors.push({ pointer: "/reason", message: reasonFault });
  if (expiry !== null && "ttlSeconds" in expiry) {
    const message = secondsFault(expiry.ttlSeconds, maxTtlSeconds, "ten years");
    if (message !== undefined) errors.push({ pointer: "/ttlSeconds", message });
  }
  if (expiry !== null && "expiresAt" in expiry && !(expiry.expiresAt > now)) {
    errors.push({ pointer: "/expiresAt", message: `takes a time in the future; it is ${new Date(now).toISOString()} here` });
  }
  return errors;
}

/**
 * @param now milliseconds since the epoch
 * @throws {DomainError} `invalid-input` with every field that is wrong
 */
export function validateBanRequest(request: BanRequest, now: number): void {
  const errors = banRequestErrors(request, now);
  if (errors.length > 0) throw new DomainError("invalid-input", "The ban has fields that can't be taken.", errors);
}

/** @throws {DomainError} `invalid-input` */
export function validateGrace(graceSeconds: number | undefined): void {
  const message = graceSeconds === undefined ? undefined : secondsFault(graceSeconds, maxGraceSeconds, "a year");
  if (message === undefined) return;
  throw new DomainError("invalid-input", `graceSeconds ${message}.`, [{ pointer: "graceSeconds", message }]);
}

function secondsFault(seconds: number, maximum: number, inWords: string): string | undefined {
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= maximum) return undefined;
  return `takes a whole number of seconds from 1 to ${maximum} (${inWords})`;
}

/** The cause that somebody asks for. */
export interface WantedBan {
  /** Canonical. */
  readonly address: string;
  readonly actor: string;
  readonly request: BanRequest;
}

/** The operator's cause that is wanted; `present` itself where it says all of that already. `now` in milliseconds since the epoch. */
export function operatorBanFrom(
  { address, actor, request: { reason, expiry } }: WantedBan,
  present: OperatorBan | undefined,
  now: number,
): OperatorBan {
  const expiresAt = endOf(expiry, now);
  const startsAnew = expiry !== null && "ttlSeconds" in expiry;
  const isSame = !startsAnew && present?.actor === actor && present.reason === reason && present.expiresAt === expiresAt;
  return isSame ? present : { address, actor, reason, since: now, expiresAt };
}

function endOf(expiry: BanRequest["expiry"], now: number): number | null {
  if (expiry === null) return null;
  return "expiresAt" in expiry ? expiry.expiresAt : now + expiry.ttlSeconds * 1000;
}

/** True until a ban's end. `now` in milliseconds since the epoch. */
export function isLive(ban: { readonly expiresAt: number | null }, now: number): boolean {
  return ban.expiresAt === null || ban.expiresAt > now;
}

/** How many of them run, by family. `now` in milliseconds since the epoch. */
export function countLive(bans: readonly OperatorBan[], now: number): Readonly<Record<Family, number>> {
  const counts = { 4: 0, 6: 0 };
  for (const ban of bans) if (isLive(ban, now)) counts[ban.address.includes(":") ? 6 : 4] += 1;
  return counts;
}

/**
 * @param now milliseconds since the epoch
 * @throws {DomainError} `no-room` when a family got more live bans than there is room for; one that had too many before may keep them
 */
export function assertRoom(before: readonly OperatorBan[], after: readonly OperatorBan[], room: BanRoom, now: number): void {
  if (after.length <= room.capacity) return;
  const [countBefore, countAfter] = [countLive(before, now), countLive(after, now)];
  for (const family of [4, 6] as const) {
    if (countAfter[family] <= Math.max(room.capacity, countBefore[family])) continue;
    throw new DomainError(
      "no-room",
      `The kernel has room for ${room.capacity} bans of IPv${family}, and this would make it ${countAfter[family]}. To make room: ${room.remedy}.`,
    );
  }
}

function parseAt(parse: (text: string) => Network, text: string, pointer: string): Network {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof NetworkSyntaxError)) throw error;
    throw new DomainError("invalid-input", `The address can't be taken: ${error.message}.`, [
      { pointer, message: error.message },
    ]);
  }
}
