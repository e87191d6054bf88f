import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { availableParallelism } from "node:os";
import { eventually } from "./eventually.ts";

const slots = Array.from({ length: Math.max(2, availableParallelism()) }, (_, index) => `\0connlimitd-test-start-${index}`);

/**
 * Runs `work` while no more such works are under way on this machine than it has processors, whichever process they belong to: a dozen
 * services that start at the same moment would all be late. Who waits asks as often as who has just come. A socket without a file tells the others, and ends with its process.
 */
export async function withStartSlot<T>(work: () => Promise<T>): Promise<T> {
  const slot = await eventually("there is room for another start", takeSlot, { within: 120_000, every: 30 });
  try {
    return await work();
  } finally {
    slot.close();
  }
}

async function takeSlot(): Promise<Server | undefined> {
  for (const path of slots) {
    const server = createServer();
    server.unref();
    server.listen(path);
    const [error] = await Promise.race([once(server, "listening"), once(server, "error")]);
    if (error === undefined) return server;
  }
  return undefined;
}
