import { readFileSync } from "node:fs";

/** The bit of CAP_NET_ADMIN in a capability mask (linux/capability.h). */
const netAdminBit = 12n;

/** This process may not change netfilter. The message says how to get the privilege. */
export class PrivilegeError extends Error {
  override readonly name = "PrivilegeError";
}

/**
 * @param statusFile `/proc/self/status`, or a stand-in for it
 * @throws {PrivilegeError} without CAP_NET_ADMIN in the effective set
 */
export function assertNetAdmin(statusFile = "/proc/self/status"): void {
  const [, mask] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync(statusFile, "utf8")) ?? [];
  if (mask !== undefined && ((BigInt(`0x${mask}`) >> netAdminBit) & 1n) === 1n) return;
  throw new PrivilegeError(
    "the privilege CAP_NET_ADMIN is missing: run as root, or with AmbientCapabilities=CAP_NET_ADMIN, or docker run --cap-add NET_ADMIN",
  );
}
