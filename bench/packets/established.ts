import { availableParallelism } from "node:os";
import type { Bench, BenchContext } from "../harness/bench.ts";
import { type Finding, finding } from "../harness/finding.ts";
import { alternate } from "../harness/rounds.ts";
import { differences, ratios } from "../harness/statistics.ts";
import { pingPong } from "../load/sockperf.ts";
import { firstPort } from "../load/state.ts";
import { classicRules, createHost, type Obstacles, parts } from "./hosts.ts";

const clients = 2 * availableParallelism();
/** How many ports, from the first on, policies or rules of all hosts are about. */
const concerned = 100;

/** Exchanges per second on each of several hosts, in turn. */
export async function exchanges<Name extends string>(context: BenchContext, hosts: Readonly<Record<Name, Obstacles>>) {
  const { backend, rounds, seconds, say } = context;
  await using stack = new AsyncDisposableStack();
  const variants = {} as Record<Name, () => Promise<number>>;
  for (const name of Object.keys(hosts) as Name[]) {
    say(`  building a host: ${name}`);
    const network = await createHost(stack, backend, hosts[name]);
    let turn = 0;
    // Ports of their own: where connlimit has dropped the end of a connection, its port stays in use.
    variants[name] = () =>
      pingPong(network, { port: firstPort + ((turn++ * clients) % (concerned - clients)), clients, seconds });
  }
  return await alternate(rounds, variants);
}

/** What packets of open connections pay for policies, beside the classic rules. */
export const established: Bench = {
  name: "packets/established",
  async run(context): Promise<readonly Finding[]> {
    const { backend } = context;
    const figures = await exchanges(context, {
      none: {},
      ...parts,
      policies100: { policies: 100 },
      policies1000: { policies: 1000 },
      classic100: { rules: classicRules(100) },
    });
    const { none, tracking, emptyChain, lookups, policies100, policies1000, classic100 } = figures;
    const work = "established small requests and responses";
    const row = { backend, unit: "ratio", raw: figures } as const;
    return [
      finding(
        { ...row, work: `${work}, 100 policies, against no rules`, bar: { atLeast: backend === "nft" ? 0.9 : 0.95 } },
        ratios(policies100, none),
      ),
      finding({ ...row, work: `${work}, classic pair × 100, against no rules` }, ratios(classic100, none)),
      finding(
        { ...row, work: `${work}, one rule that counts new connections, against no rules`, note: "connection tracking alone" },
        ratios(tracking, none),
      ),
      finding(
        { ...row, work: `${work}, three look-ups, against no rules`, note: "one list and two sets, nothing tracked" },
        ratios(lookups, none),
      ),
      finding({ ...row, work: `${work}, a jump to an empty chain, against no rules` }, ratios(emptyChain, none)),
      finding(
        { ...row, work: `${work}, what 1,000 policies lose to 100`, bar: { atMost: 0.03 } },
        differences(ratios(policies100, none), ratios(policies1000, none)),
      ),
      finding({ ...row, work: `${work}, 1,000 policies, against no rules` }, ratios(policies1000, none)),
    ];
  },
};
