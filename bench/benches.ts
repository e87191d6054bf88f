import { banWrites } from "./api/ban-writes.ts";
import { concurrentPolicies } from "./api/concurrent-policies.ts";
import { policyWrites } from "./api/policy-writes.ts";
import type { Bench } from "./harness/bench.ts";
import { banCheck } from "./packets/ban-check.ts";
import { established } from "./packets/established.ts";
import { newConnections } from "./packets/new-connections.ts";
import { starts } from "./start/starts.ts";

/** In the order of the table. */
export const benches: readonly Bench[] = [
  established,
  newConnections,
  banCheck,
  banWrites,
  policyWrites,
  concurrentPolicies,
  starts,
];

export const peerBenches: readonly Bench[] = [];
