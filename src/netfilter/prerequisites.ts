import { readFileSync } from "node:fs";

/**
 * What it takes to change netfilter, with the bits of a capability mask (linux/capability.h). The legacy iptables, and the match `set` on both
 * backends, speak with the kernel over a raw socket.
 */
const needed = [
  { name: "NET_ADMIN", bit: 12n },
  { name: "NET_RAW", bit: 13n },
] as const;

/** This process may not change netfilter. The message says how to get the privilege. */
export class PrivilegeError extends Error {
  override readonly name = "PrivilegeError";
}

/**
 * @param statusFile `/proc/self/status`, or a stand-in for it
 * @throws {PrivilegeError} without CAP_NET_ADMIN or CAP_NET_RAW in the effective set
 */
export function assertCapabilities(statusFile = "/proc/self/status"): void {
  const [, mask = "0"] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync(statusFile, "utf8")) ?? [];
  const missing = needed.filter(({ bit }) => ((BigInt(`0x${mask}`) >> bit) & 1n) === 0n).map(({ name }) => `CAP_${name}`);
  if (missing.length === 0) return;
  const [forSystemd, forDocker] = [needed.map(({ name }) => `CAP_${name}`), needed.map(({ name }) => `--cap-add ${name}`)];
  throw new PrivilegeError(
    `the privilege ${missing.join(" and ")} is missing: run as root, or with CapabilityBoundingSet=${forSystemd.join(" ")}, or docker run ${forDocker.join(" ")}`,
  );
}
