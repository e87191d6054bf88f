import { eventually } from "../../test/support/eventually.ts";
import { createNetwork } from "../../test/support/namespaces.ts";
import type { Bench, BenchContext } from "../harness/bench.ts";
import { finding } from "../harness/finding.ts";
import { type InstrumentedService, startInstrumentedService } from "../load/instrumented-service.ts";
import { putBans, putPolicies } from "../load/state.ts";

/** How long after a start or a write memory is read: a few looks at the kernel later. */
const settled = 6000;

/** Resident memory once all is quiet, in MB. */
export async function residentWhenQuiet(running: InstrumentedService): Promise<number> {
  const until = performance.now() + settled;
  await eventually("the service has had its time", () => performance.now() > until, { within: 2 * settled, every: 250 });
  return (await running.readings()).resident;
}

/** Resident memory with nothing and with much to do; after all was written, and after a start with all of it. */
export const memory: Bench = {
  name: "memory",
  async run({ backend, fewRounds }: BenchContext) {
    const figures: Record<"idle" | "written" | "restarted", number[]> = { idle: [], written: [], restarted: [] };
    for (let round = 0; round < fewRounds; round += 1) {
      await using network = await createNetwork();
      await using running = await startInstrumentedService({ network, backend });
      figures.idle.push(await residentWhenQuiet(running));
      await putPolicies(running.service, 1000);
      await putBans(running.service, 0, 50_000);
      figures.written.push(await residentWhenQuiet(running));
      await running.service.restart();
      figures.restarted.push(await residentWhenQuiet(running));
    }
    const row = { backend, unit: "MB", raw: figures } as const;
    return [
      finding({ ...row, work: "resident memory, idle", bar: { atMost: 90 } }, figures.idle),
      finding(
        { ...row, work: "resident memory, 1,000 policies and 50,000 bans, just written", bar: { atMost: 160 } },
        figures.written,
      ),
      finding(
        { ...row, work: "resident memory, 1,000 policies and 50,000 bans, started with them", bar: { atMost: 160 } },
        figures.restarted,
      ),
    ];
  },
};
