import { hostAddresses } from "../../test/support/namespaces.ts";
import type { Bench } from "../harness/bench.ts";
import { finding } from "../harness/finding.ts";
import { alternate } from "../harness/rounds.ts";
import { ratios } from "../harness/statistics.ts";
import { startClosingServer } from "../load/nginx.ts";
import { runWrk } from "../load/wrk.ts";
import { createHost, measuredPort, type Obstacles, parts, roundsOfPackets } from "./hosts.ts";

const hosts = {
  none: {},
  tracking: parts.tracking,
  lookups: parts.lookups,
  least: parts.least,
  policies100: { policies: 100 },
  policies1000: { policies: 1000 },
} as const satisfies Record<string, Obstacles>;

/** What opening a connection costs more because of policies. */
export const newConnections: Bench = {
  name: "packets/new-connections",
  async run({ backend, rounds, seconds, say }) {
    await using stack = new AsyncDisposableStack();
    const halts: (() => void)[] = [];
    const perSecond = async (name: keyof typeof hosts): Promise<() => Promise<number>> => {
      say(`  building a host: ${name}`);
      const host = await createHost(stack, backend, hosts[name]);
      const { network } = host;
      halts.push(host.halt);
      await startClosingServer(network, measuredPort);
      const url = `http://${hostAddresses[4]}:${measuredPort}/`;
      return async () =>
        (await runWrk(network, "client", { url, connections: 16, seconds, headers: ["Connection: close"] })).perSecond;
    };
    const variants = {
      none: await perSecond("none"),
      tracking: await perSecond("tracking"),
      lookups: await perSecond("lookups"),
      least: await perSecond("least"),
      policies100: await perSecond("policies100"),
      policies1000: await perSecond("policies1000"),
    };
    // What is measured is what packets meet.
    for (const halt of halts) halt();
    const figures = await alternate(roundsOfPackets * rounds, variants);
    const { none, tracking, lookups, least, policies100, policies1000 } = figures;
    const row = { backend, unit: "ratio", raw: figures } as const;
    return [
      finding({ ...row, work: "new connections, 100 policies, against none", bar: { atLeast: 0.9 } }, ratios(policies100, none)),
      finding(
        { ...row, work: "new connections, 1,000 policies, against none", bar: { atLeast: 0.85 } },
        ratios(policies1000, none),
      ),
      finding(
        { ...row, work: "new connections, one rule that counts them, against none", note: "tracking and one count" },
        ratios(tracking, none),
      ),
      finding(
        { ...row, work: "new connections, three look-ups, against none", note: "one list and two sets, nothing tracked" },
        ratios(lookups, none),
      ),
      finding(
        { ...row, work: "new connections, the three look-ups and the rule that counts, against none" },
        ratios(least, none),
      ),
    ];
  },
};
