import { createNetwork } from "../../test/support/namespaces.ts";
import type { Bench } from "../harness/bench.ts";
import { finding } from "../harness/finding.ts";
import { alternate } from "../harness/rounds.ts";
import { differences } from "../harness/statistics.ts";
import { type InstrumentedService, startInstrumentedService } from "../load/instrumented-service.ts";
import { assertDone, firstPort, putPolicies } from "../load/state.ts";
import { trackConnections } from "../load/tracked-connections.ts";

const connections = 200_000;
const address = "10.9.0.7";
const path = `/v1/check/${address}`;

/** What would become of an address on a busy host, by one caller. */
export const check: Bench = {
  name: "api/check",
  async run({ backend, rounds }) {
    await using stack = new AsyncDisposableStack();
    const host = async (tracked: number) => {
      const network = stack.use(await createNetwork());
      const running: InstrumentedService = stack.use(await startInstrumentedService({ network, backend }));
      await putPolicies(running.service, 10);
      if (tracked > 0) await trackConnections(network, tracked, firstPort);
      const ask = async (): Promise<number> => {
        const begun = performance.now();
        assertDone(await running.service.request("GET", path));
        return performance.now() - begun;
      };
      await ask();
      await running.readings();
      const time = async (...command: readonly string[]): Promise<number> => {
        const begun = performance.now();
        await network.exec("host", "sh", ["-c", '"$@" > /dev/null 2>&1', "sh", ...command]);
        return performance.now() - begun;
      };
      return { ask, running, time };
    };
    const [quiet, busy] = [await host(0), await host(connections)];
    const figures = await alternate(3 * rounds, {
      none: quiet.ask,
      busy: busy.ask,
      cat: () => busy.time("cat", "/proc/net/nf_conntrack"),
      // No connection has this mark: the kernel looks at each, and prints none.
      walk: () => busy.time("conntrack", "-L", "-m", "5"),
      // The program of Debian 12 has the kernel send all of them, and picks those of the address itself.
      source: () => busy.time("conntrack", "-L", "-s", address),
    });
    const { longestBlock } = await busy.running.readings();
    const work = `GET /v1/check/{ip} with ${connections.toLocaleString("en")} connections`;
    const row = { backend, unit: "ms", raw: figures } as const;
    return [
      finding({ ...row, work: `${work}, more than with none`, bar: { atMost: 30 } }, differences(figures.busy, figures.none)),
      finding({ ...row, work: "GET /v1/check/{ip} with none" }, figures.none),
      finding({ ...row, work: "cat /proc/net/nf_conntrack with as many" }, figures.cat),
      finding({ ...row, work: "conntrack -L of a mark that none of them has" }, figures.walk),
      finding({ ...row, work: "conntrack -L of the address" }, figures.source),
      finding({ ...row, work: "the same: longest block of the event loop", bar: { atMost: 50 } }, [longestBlock]),
    ];
  },
};
