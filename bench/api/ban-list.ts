import { createNetwork } from "../../test/support/namespaces.ts";
import type { Bench } from "../harness/bench.ts";
import { finding } from "../harness/finding.ts";
import { alternate } from "../harness/rounds.ts";
import { startInstrumentedService } from "../load/instrumented-service.ts";
import { noOp, startNoOp } from "../load/no-op.ts";
import { putBans } from "../load/state.ts";
import { runWrk } from "../load/wrk.ts";

const bans = 50_000;

/** Pages of a long list of bans, the first one and one in the middle, by one caller. */
export const banList: Bench = {
  name: "api/ban-list",
  async run({ backend, rounds, seconds }) {
    await using network = await createNetwork();
    await using running = await startInstrumentedService({ network, backend });
    await putBans(running.service, 0, bans);
    const authorization = await running.authorization();
    await startNoOp(network);
    const time = async (url: string, header: string): Promise<number> =>
      1000 / (await runWrk(network, "host", { url, connections: 1, seconds, headers: [header] })).perSecond;
    const page = (path: string) => () => time(`${running.url}${path}`, authorization);
    const ready = () => time(`${noOp.url}/v1/no-op`, noOp.authorization);
    let cursor = "";
    for (let pages = 0; pages < 25; pages += 1) {
      const { body } = await running.service.request("GET", `/v1/bans?limit=1000${cursor}`);
      cursor = `&cursor=${(body as { readonly nextCursor: string }).nextCursor}`;
    }
    const [first, middle] = [page("/v1/bans?limit=1000"), page(`/v1/bans?limit=1000${cursor}`)];
    await first();
    await ready();
    await running.readings();
    const figures = await alternate(rounds, { first, middle, ready });
    const { longestBlock } = await running.readings();
    const row = { backend, unit: "ms", bar: { atMost: 10 }, raw: figures } as const;
    return [
      finding({ ...row, work: "GET /v1/bans?limit=1000 out of 50,000" }, figures.first),
      finding({ ...row, work: "GET /v1/bans?limit=1000 out of 50,000, page 26" }, figures.middle),
      finding({ ...row, bar: null, work: "an answer of the same size that is ready, from the same server" }, figures.ready),
      finding({ ...row, work: "the same: longest block of the event loop", bar: { atMost: 50 } }, [longestBlock]),
    ];
  },
};
