import { eventually } from "../../test/support/eventually.ts";
import { createNetwork } from "../../test/support/namespaces.ts";
import { type Service, startService } from "../../test/support/service.ts";
import type { Bench } from "../harness/bench.ts";
import { finding } from "../harness/finding.ts";
import { alternate } from "../harness/rounds.ts";
import { ratios } from "../harness/statistics.ts";
import { countPrograms } from "../load/counted-programs.ts";
import { assertDone, policyName, putPolicy, untilEnforced } from "../load/state.ts";

const count = 100;
const numbers = Array.from({ length: count }, (_, number) => number);

/** Many policies that are written at the same time. */
export const concurrentPolicies: Bench = {
  name: "api/concurrent-policies",
  async run({ backend, rounds }) {
    await using network = await createNetwork();
    const counted = await countPrograms();
    const settings = { CONNLIMITD_LOG_LEVEL: "warn" };
    const atOnce = async (service: Service): Promise<void> => {
      await Promise.all(numbers.map((number) => putPolicy(service, number)));
      await untilEnforced(service);
    };
    const counts: { readonly restores: number[]; readonly tests: number[] } = { restores: [], tests: [] };
    {
      await using service = await startService({ network, backend, env: { ...settings, PATH: counted.path } });
      for (let round = 0; round < rounds; round += 1) {
        await counted.requests();
        await atOnce(service);
        const { restores, tests } = await counted.requests();
        counts.tests.push(tests);
        counts.restores.push(restores);
        await deleteAll(service);
      }
      await service.stop();
    }
    counted.remove();
    await using service = await startService({ network, backend, env: settings });
    const timed = (work: () => Promise<void>) => async (): Promise<number> => {
      const begun = performance.now();
      await work();
      const time = performance.now() - begun;
      await deleteAll(service);
      return time;
    };
    const figures = await alternate(rounds, {
      oneByOne: timed(async () => {
        for (const number of numbers) await putPolicy(service, number);
      }),
      atOnce: timed(() => atOnce(service)),
    });
    const work = `${count} PUTs of different policies at once`;
    return [
      finding({ work: `${work}: restores of IPv4`, backend, unit: "count", bar: { atMost: 10 }, raw: counts }, counts.restores),
      finding({ work: `${work}: restores of IPv4 that only test`, backend, unit: "count" }, counts.tests),
      finding(
        { work: `${work}, to one by one`, backend, unit: "times", bar: { atLeast: 5 }, raw: figures },
        ratios(figures.oneByOne, figures.atOnce),
      ),
      finding({ work, backend, unit: "ms" }, figures.atOnce),
    ];
  },
};

async function deleteAll(service: Service): Promise<void> {
  await Promise.all(
    numbers.map(async (number) => assertDone(await service.request("DELETE", `/v1/policies/${policyName(number)}`), 202)),
  );
  await eventually("no policy is in the way", async () => (await service.request("GET", "/readyz")).status === 200);
}
