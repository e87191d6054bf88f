import { DomainError, type FieldError } from "./errors.ts";
import { formatNetwork, NetworkSyntaxError, parseNetwork } from "./network.ts";
import type { PolicySpec } from "./policy.ts";
import { textFault } from "./text-rules.ts";

/** Names become parts of chain and list names, so nothing else is let through. */
export const policyNamePattern = /^[a-z][a-z0-9-]{0,19}$/;

/** What the numbers of a policy may be. `banSeconds`: xt_recent multiplies by HZ in 32 bits, beyond it a ban could silently never match. */
export const policyLimits = {
  ports: { minimum: 1, maximum: 15 },
  port: { minimum: 1, maximum: 65_535 },
  maxConnections: { minimum: 1, maximum: 1_000_000 },
  ipv4Prefix: { minimum: 8, maximum: 32 },
  ipv6Prefix: { minimum: 16, maximum: 128 },
  banSeconds: { minimum: 1, maximum: 4_294_967 },
  exempt: { minimum: 0, maximum: 64 },
} as const;

/**
 * @param pointer where the caller wrote the name
 * @throws {DomainError} `invalid-input`
 */
export function validatePolicyName(name: string, pointer: string): void {
  if (policyNamePattern.test(name)) return;
  const message = "takes 1 to 20 of a-z, 0-9 and -, beginning with a letter";
  throw new DomainError("invalid-input", `The name ${message}.`, [{ pointer, message }]);
}

/** @throws {DomainError} `invalid-input` with every field that is wrong */
export function validatePolicySpec(spec: PolicySpec): void {
  const errors = [
    ...textErrors("/description", spec.description),
    ...portErrors(spec.ports),
    ...rangeErrors("/maxConnections", spec.maxConnections, policyLimits.maxConnections),
    ...rangeErrors("/countPer/ipv4Prefix", spec.countPer.ipv4Prefix, policyLimits.ipv4Prefix),
    ...rangeErrors("/countPer/ipv6Prefix", spec.countPer.ipv6Prefix, policyLimits.ipv6Prefix),
    ...(spec.ban === null ? [] : rangeErrors("/ban/seconds", spec.ban.seconds, policyLimits.banSeconds)),
    ...exemptErrors(spec.exempt),
  ];
  if (errors.length > 0) throw new DomainError("invalid-input", "The policy has fields that can't be taken.", errors);
}

interface Range {
  readonly minimum: number;
  readonly maximum: number;
}

function textErrors(pointer: string, text: string): readonly FieldError[] {
  const message = textFault(text);
  return message === undefined ? [] : [{ pointer, message }];
}

function rangeErrors(pointer: string, value: number, { minimum, maximum }: Range): readonly FieldError[] {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return [];
  return [{ pointer, message: `takes a whole number from ${minimum} to ${maximum}` }];
}

function lengthErrors(
  pointer: string,
  items: readonly unknown[],
  { minimum, maximum }: Range,
  what: string,
): readonly FieldError[] {
  if (items.length >= minimum && items.length <= maximum) return [];
  return [{ pointer, message: `takes ${minimum} to ${maximum} ${what}; this has ${items.length}` }];
}

function duplicateErrors(pointer: string, items: readonly (string | number)[]): readonly FieldError[] {
  return items.flatMap((item, index) => {
    const first = items.indexOf(item);
    return first === index
      ? []
      : [{ pointer: `${pointer}/${index}`, message: `${item} stands there already, as ${pointer}/${first}` }];
  });
}

function portErrors(ports: readonly number[]): readonly FieldError[] {
  return [
    ...lengthErrors("/ports", ports, policyLimits.ports, "ports"),
    ...ports.flatMap((port, index) => rangeErrors(`/ports/${index}`, port, policyLimits.port)),
    ...duplicateErrors("/ports", ports),
  ];
}

function exemptErrors(exempt: readonly string[]): readonly FieldError[] {
  return [
    ...lengthErrors("/exempt", exempt, policyLimits.exempt, "networks"),
    ...exempt.flatMap((network, index) => canonicalErrors(`/exempt/${index}`, network)),
    ...duplicateErrors("/exempt", exempt),
  ];
}

function canonicalErrors(pointer: string, text: string): readonly FieldError[] {
  try {
    const canonical = formatNetwork(parseNetwork(text));
    return canonical === text ? [] : [{ pointer, message: `takes the canonical form, which is ${canonical}` }];
  } catch (error) {
    if (!(error instanceof NetworkSyntaxError)) throw error;
    return [{ pointer, message: error.message }];
  }
}
