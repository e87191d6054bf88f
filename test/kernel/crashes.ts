// A service that is killed at random moments while it is written to, started again, and compared with what it had acknowledged.
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { openStore } from "../../src/store/store.ts";
import { createDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import type { Backend } from "../support/kernel.ts";
import { createNetwork } from "../support/namespaces.ts";
import type { Random } from "../support/random.ts";
import { samplePolicy } from "../support/samples.ts";
import { startService } from "../support/service.ts";
import { createWriter, kernelContradictions, readService } from "./crashing-writers.ts";

const writerCount = 8;
/** Milliseconds after which the kill comes, at most. */
const longestLife = 800;
/** One of so many kills hits a start instead of writers. */
const startsKilled = 8;

export interface Crash {
  /** What was lost, half applied or not in step, in words. */
  readonly contradictions: readonly string[];
  /** Milliseconds from the start of the process until it said that the kernel is in step, and until `/readyz` was 200. */
  readonly inStepAfter: number;
  readonly readyAfter: number;
}

export interface CrashScene {
  crash(): Promise<Crash>;
  /** Writes that were acknowledged up to now. */
  acknowledged(): number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** @param policies how many the service has that nobody writes to */
export async function createCrashScene(backend: Backend, policies: number, random: Random): Promise<CrashScene> {
  const directory = await createDirectory();
  const stateDirectory = join(directory.path, "state");
  const bulk = Array.from({ length: policies }, (_, n) =>
    samplePolicy({ name: `bulk-${n}`, ports: [1000 + n], maxConnections: 50 }),
  );
  const store = openStore({ stateDirectory });
  await store.transact((change) => {
    for (const policy of bulk) change.putPolicy(policy);
  });
  store.close();
  const network = await createNetwork();
  const service = await startService({ network, backend, stateDirectory, env: { CONNLIMITD_LOG_LEVEL: "info" } });
  const writers = Array.from({ length: writerCount }, (_, number) => createWriter(number, random));

  const acknowledged = (): number => writers.reduce((sum, writer) => sum + writer.acknowledged(), 0);

  const killWhileWriting = async (): Promise<void> => {
    const before = acknowledged();
    const writing = Promise.all(writers.map((writer) => writer.run(service)));
    await Promise.race([writing, pause(random.integer(longestLife))]);
    // On a machine that is busy it would be too early each time.
    const enough = before + 1 + random.integer(writerCount);
    const someWrites = () => eventually("writes are acknowledged", () => acknowledged() >= enough, { within: 20_000, every: 1 });
    if (random.integer(4) !== 0) await Promise.race([writing, someWrites()]);
    await service.kill();
    await writing;
  };

  const killWhileStarting = async (): Promise<void> => {
    await service.kill();
    const starting = service.restart().catch(() => undefined);
    await pause(random.integer(longestLife));
    await service.kill();
    await starting;
  };

  return {
    acknowledged,
    crash: async () => {
      await (random.integer(startsKilled) === 0 ? killWhileStarting() : killWhileWriting());
      const said = service.logs().length;
      const [begun, begunAt] = [performance.now(), Date.now()];
      await service.restart();
      const readyAfter = performance.now() - begun;
      const inStep = /"time":(\d+)[^\n]*"msg":"the kernel is in step/.exec(service.logs().slice(said));
      const inStepAfter = inStep === null ? readyAfter : Number(inStep[1]) - begunAt;
      const state = await readService(service);
      const lost = bulk.filter(({ name, maxConnections }) => state.limits.get(name) !== maxConnections).map(({ name }) => name);
      const contradictions = [
        ...lost.map((name) => `${name} is lost`),
        ...writers.flatMap((writer) => writer.contradictions(state)),
        ...(await kernelContradictions(network, backend, state)),
      ];
      return { contradictions, inStepAfter, readyAfter };
    },
    [Symbol.asyncDispose]: async () => {
      await service.dispose();
      await network.dispose();
      directory.remove();
    },
  };
}
