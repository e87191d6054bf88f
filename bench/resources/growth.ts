import { createNetwork } from "../../test/support/namespaces.ts";
import type { Service } from "../../test/support/service.ts";
import type { Bench } from "../harness/bench.ts";
import { type Finding, finding, type Unit } from "../harness/finding.ts";
import { type InstrumentedService, startInstrumentedService } from "../load/instrumented-service.ts";
import { assertDone, bannedAddress, firstPort, policyName, putBans, putPolicies } from "../load/state.ts";
import { type Cost, costs, type Growing, growthSteps, growthWork } from "./growth-work.ts";
import { residentWhenQuiet } from "./memory.ts";

const repetitions = 5;

const units: Readonly<Record<Cost, Unit>> = { "apply one more": "ms", "list all": "ms", memory: "MB" };

/** Apply time, list time and memory as policies and bans become more. */
export const growth: Bench = {
  name: "growth",
  async run({ backend, say }) {
    const findings: Finding[] = [];
    for (const what of ["policies", "bans"] as const) {
      await using network = await createNetwork();
      await using running = await startInstrumentedService({ network, backend });
      let present = 0;
      for (const count of growthSteps[what]) {
        say(`  ${count} ${what}`);
        if (what === "policies") await putPolicies(running.service, count);
        else await putBans(running.service, present, count);
        present = count;
        const figures = await measure(running, what);
        for (const cost of costs) {
          findings.push(finding({ work: growthWork(cost, what, count), backend, unit: units[cost] }, figures[cost]));
        }
      }
    }
    return findings;
  },
};

async function measure(running: InstrumentedService, what: Growing): Promise<Record<Cost, readonly number[]>> {
  const { service } = running;
  const memory = [await residentWhenQuiet(running)];
  const times = async (work: (repetition: number) => Promise<void>): Promise<readonly number[]> => {
    const figures: number[] = [];
    for (let repetition = 0; repetition < repetitions; repetition += 1) {
      const begun = performance.now();
      await work(repetition);
      figures.push(performance.now() - begun);
    }
    return figures;
  };
  const apply =
    what === "policies"
      ? async (n: number) => {
          const body = { ports: [firstPort], maxConnections: 100 + n, ban: { seconds: 60 } };
          assertDone(await service.request("PUT", `/v1/policies/${policyName(0)}`, body));
        }
      : async (n: number) =>
          assertDone(await service.request("PUT", `/v1/bans/${bannedAddress(2 ** 24 + n)}`, { ttlSeconds: 3600 }));
  const applied = await times(apply);
  const listed = await times(async () => listAll(service, `/v1/${what}`));
  return { "apply one more": applied, "list all": listed, memory };
}

async function listAll(service: Service, path: string): Promise<void> {
  let cursor: string | null = "";
  while (cursor !== null) {
    const answer = await service.request("GET", `${path}?limit=1000${cursor}`);
    assertDone(answer);
    const { nextCursor } = answer.body as { readonly nextCursor: string | null };
    cursor = nextCursor === null ? null : `&cursor=${nextCursor}`;
  }
}
