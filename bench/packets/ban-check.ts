import type { Bench } from "../harness/bench.ts";
import { finding } from "../harness/finding.ts";
import { ratios } from "../harness/statistics.ts";
import { exchanges } from "./established.ts";

/** What packets pay for a long ban list. */
export const banCheck: Bench = {
  name: "packets/ban-check",
  async run(context) {
    const figures = await exchanges(context, { none: {}, noBans: { service: true }, bans50000: { bans: 50_000 } });
    const { none, noBans, bans50000 } = figures;
    const row = { backend: context.backend, unit: "ratio", bar: { atLeast: 0.95 }, raw: figures } as const;
    const work = "established small requests and responses, 50,000 bans";
    return [
      finding({ ...row, work: `${work}, against no bans` }, ratios(bans50000, noBans)),
      finding({ ...row, work: `${work}, against no rules` }, ratios(bans50000, none)),
    ];
  },
};
