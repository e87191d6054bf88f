import { banList } from "./api/ban-list.ts";
import { banWrites } from "./api/ban-writes.ts";
import { bareWrite } from "./api/bare-write.ts";
import { check } from "./api/check.ts";
import { concurrentPolicies } from "./api/concurrent-policies.ts";
import { policyWrites } from "./api/policy-writes.ts";
import type { Bench } from "./harness/bench.ts";
import { banCheck } from "./packets/ban-check.ts";
import { established } from "./packets/established.ts";
import { newConnections } from "./packets/new-connections.ts";
import { peers } from "./peers/peers.ts";
import { growth } from "./resources/growth.ts";
import { idle } from "./resources/idle.ts";
import { memory } from "./resources/memory.ts";
import { starts } from "./start/starts.ts";

/** In the order of the table. */
export const benches: readonly Bench[] = [
  established,
  newConnections,
  banCheck,
  banWrites,
  bareWrite,
  policyWrites,
  concurrentPolicies,
  starts,
  banList,
  check,
  memory,
  idle,
  growth,
];

/** Measured with `--peers` only. */
export const peerBenches: readonly Bench[] = [peers];
