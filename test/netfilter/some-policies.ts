import fc from "fast-check";
import type { Policy } from "../../src/domain/policy.ts";
import { samplePolicy } from "../support/samples.ts";

/** The ban of the classic pair of rules. */
export const classicBan = { seconds: 60, scope: "host", renewOnAttempt: false } as const;

const networks = ["10.0.0.0/8", "10.1.2.0/24", "192.0.2.7", "0.0.0.0/0", "2001:db8::/32", "2001:db8:1:2:3::/80", "2001:db8:1::9"];

const ban = fc.record({
  seconds: fc.constantFrom(30, 60, 3600),
  scope: fc.constantFrom("host" as const, "ports" as const),
  renewOnAttempt: fc.boolean(),
});

const spec = fc.record({
  ports: fc.uniqueArray(fc.oneof(fc.integer({ min: 1, max: 65535 }), fc.constantFrom(80, 443, 3306)), {
    minLength: 1,
    maxLength: 15,
  }),
  maxConnections: fc.integer({ min: 1, max: 5 }),
  countPer: fc.record({ ipv4Prefix: fc.constantFrom(8, 24, 32), ipv6Prefix: fc.constantFrom(48, 64, 128) }),
  ban: fc.option(ban, { freq: 3 }),
  rejectWith: fc.constantFrom("tcp-reset" as const, "icmp-port-unreachable" as const, "drop" as const),
  exempt: fc.uniqueArray(fc.constantFrom(...networks), { maxLength: 3 }),
  mode: fc.constantFrom("enforce" as const, "enforce" as const, "observe" as const, "off" as const),
});

/** Up to `maxLength` policies with different names, in the order of their names. */
export function somePolicies(maxLength = 8): fc.Arbitrary<readonly Policy[]> {
  return fc
    .array(spec, { maxLength })
    .map((specs) => specs.map((one, index) => samplePolicy({ ...one, name: `policy-${index}` })));
}
