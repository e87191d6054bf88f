import { getHeapStatistics } from "node:v8";
import underPressure from "@fastify/under-pressure";
import type { FastifyInstance } from "fastify";
import { overloaded } from "../problems/problem-from-error.ts";

/** When there is too much to do; measured over the last `sampleInterval`. */
export interface OverloadLimits {
  /** Milliseconds that work waits for its turn, on average. */
  readonly maxEventLoopDelay: number;
  readonly maxHeapUsedBytes: number;
  /** Milliseconds. */
  readonly sampleInterval: number;
}

/**
 * A batch of 10,000 bans keeps the service busy for some hundred milliseconds, which is no overload: only who would wait for a whole
 * second for a turn is better told to come again. The heap is what the process would end of when it is full.
 */
export const defaultOverloadLimits: OverloadLimits = {
  maxEventLoopDelay: 1000,
  maxHeapUsedBytes: Math.floor(getHeapStatistics().heap_size_limit * 0.8),
  sampleInterval: 1000,
};

/** Refuses every request but those of routes that are `neverOverloaded` while the limits are exceeded. */
export function refuseOverload(app: FastifyInstance, limits: OverloadLimits): void {
  app.register(underPressure, {
    ...limits,
    pressureHandler: async ({ routeOptions }, _reply, type) => {
      if (routeOptions.config.neverOverloaded === true) return;
      throw overloaded(
        type === underPressure.TYPE_EVENT_LOOP_DELAY
          ? "The service is busy with earlier requests."
          : "The memory of the service is nearly full.",
      );
    },
  });
}
