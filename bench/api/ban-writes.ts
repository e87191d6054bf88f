import { readSets } from "../../test/support/kernel.ts";
import { createNetwork, type Network } from "../../test/support/namespaces.ts";
import type { Bench } from "../harness/bench.ts";
import { finding } from "../harness/finding.ts";
import { alternate } from "../harness/rounds.ts";
import { ratios } from "../harness/statistics.ts";
import { startInstrumentedService } from "../load/instrumented-service.ts";
import { noOp, startNoOp } from "../load/no-op.ts";
import { addressesOf, liftBans } from "../load/state.ts";
import { runWrk } from "../load/wrk.ts";

const callers = 32;
/** Rounds of two seconds before those that count, in which V8 optimizes what is called. */
const warmUps = 5;

/** Bans of different addresses by many callers at once, to what the same server does with a request that asks for nothing. */
export const banWrites: Bench = {
  name: "api/ban-writes",
  async run({ backend, rounds, seconds }) {
    await using network = await createNetwork();
    await using running = await startInstrumentedService({ network, backend });
    await startNoOp(network);
    const { service } = running;
    const authorization = await running.authorization();
    let acknowledged = 0;
    let held = 0;
    const load = (url: string, path: string, header: string, duration = seconds) =>
      runWrk(network, "host", {
        url,
        connections: callers,
        seconds: duration,
        headers: [header],
        script: "put-bans.lua",
        words: [path, "0"],
      });
    const put = async (duration?: number): Promise<number> => {
      const { perSecond, answers } = await load(running.url, "/v1/bans/", authorization, duration);
      acknowledged += answers;
      held += await inKernel(network);
      await liftBans(service);
      return perSecond;
    };
    const doNothing = async (duration?: number): Promise<number> =>
      (await load(noOp.url, "/v1/no-op/", noOp.authorization, duration)).perSecond;
    for (let round = 0; round < warmUps; round += 1) {
      await put(2);
      await doNothing(2);
    }
    [acknowledged, held] = [0, 0];
    await running.readings();
    const figures = await alternate(rounds, { put, doNothing });
    const { longestBlock } = await running.readings();
    if (held < acknowledged) throw new Error(`${acknowledged} bans were acknowledged, but the kernel held ${held}`);
    const left = await addressesOf(service, 1);
    if (left.length > 0) throw new Error("a ban is left");
    const work = `PUT /v1/bans/{address}, ${callers} callers`;
    return [
      finding(
        { work: `${work}, against a route that does nothing`, backend, unit: "ratio", bar: { atLeast: 0.8 }, raw: figures },
        ratios(figures.put, figures.doNothing),
      ),
      finding(
        { work: `${work}: a request to the route that does nothing`, backend, unit: "us", raw: figures },
        figures.doNothing.map((perSecond) => 1e6 / perSecond),
      ),
      finding({ work, backend, unit: "per second", note: `all ${acknowledged.toLocaleString("en")} in the kernel` }, figures.put),
      finding({ work: `${work}: longest block of the event loop`, backend, unit: "ms", bar: { atMost: 50 } }, [longestBlock]),
    ];
  },
};

/** How many operator bans the list and the set hold. */
async function inKernel(network: Network): Promise<number> {
  const listed = (await network.exec("host", "cat", ["/proc/net/xt_recent/cld4-operator"])).split("\n").filter(Boolean).length;
  return listed + ((await readSets(network)).get("cld4-operator")?.length ?? 0);
}
