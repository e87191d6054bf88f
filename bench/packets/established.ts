import { availableParallelism } from "node:os";
import { setTimeout } from "node:timers/promises";
import type { Bench, BenchContext } from "../harness/bench.ts";
import { type Finding, finding } from "../harness/finding.ts";
import { alternate } from "../harness/rounds.ts";
import { differences, ratios } from "../harness/statistics.ts";
import { pingPong } from "../load/sockperf.ts";
import { firstPort } from "../load/state.ts";
import { classicRules, createHost, type MeasuredHost, type Obstacles, parts, roundsOfPackets } from "./hosts.ts";

const clients = 2 * availableParallelism();
/** How many ports, from the first on, policies or rules of all hosts are about. */
const concerned = 100;

/** Milliseconds after which a service that goes on has done what it has missed. */
const catchingUp = 2500;

/** A host, or one of the others while its service is at work. */
type Variants<Name extends string> = Readonly<Record<Name, Obstacles | { readonly atWork: string }>>;

/**
 * Exchanges per second on each of several hosts, in turn. The services of all of them are halted, so that what is measured is what
 * packets meet, and no service's work falls to another host's lot; where one is measured at work, only that is.
 */
export async function exchanges<Name extends string>(context: BenchContext, variants: Variants<Name>) {
  const { backend, rounds, seconds, say } = context;
  await using stack = new AsyncDisposableStack();
  const hosts = new Map<string, MeasuredHost>();
  // Ports of their own: where connlimit has dropped the end of a connection, its port stays in use.
  const turns = new Map<MeasuredHost, number>();
  const measure = {} as Record<Name, () => Promise<number>>;
  for (const name of Object.keys(variants) as Name[]) {
    const variant = variants[name];
    if (!("atWork" in variant)) {
      say(`  building a host: ${name}`);
      hosts.set(name, await createHost(stack, backend, variant));
    }
    const host = hosts.get("atWork" in variant ? variant.atWork : name);
    if (host === undefined) throw new TypeError(`${name}: there is no such host yet`);
    const run = (time: number): Promise<number> => {
      const turn = turns.get(host) ?? 0;
      turns.set(host, turn + 1);
      return pingPong(host.network, { port: firstPort + ((turn * clients) % (concerned - clients)), clients, seconds: time });
    };
    measure[name] = "atWork" in variant ? () => atWork(host, () => run(2 * seconds)) : () => run(seconds);
  }
  for (const host of hosts.values()) host.halt();
  return await alternate(roundsOfPackets * rounds, measure);
}

/** Measures while the host's service does what it does when nobody asks for anything. */
async function atWork(host: MeasuredHost, measure: () => Promise<number>): Promise<number> {
  host.resume();
  await setTimeout(catchingUp);
  const figure = await measure();
  host.halt();
  return figure;
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
      atWork100: { atWork: "policies100" },
      atWork1000: { atWork: "policies1000" },
      classic100: { rules: classicRules(100) },
    });
    const { none, tracking, lookups, least, policies100, policies1000, atWork100, atWork1000, classic100 } = figures;
    const work = "established small requests and responses";
    const row = { backend, unit: "ratio", raw: figures } as const;
    return [
      finding(
        { ...row, work: `${work}, 100 policies, against no rules`, bar: { atLeast: backend === "nft" ? 0.9 : 0.95 } },
        ratios(policies100, none),
      ),
      finding(
        { ...row, work: `${work}, 100 policies with the service at work beside it, against no rules` },
        ratios(atWork100, none),
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
      finding({ ...row, work: `${work}, the three look-ups and the rule that counts, against no rules` }, ratios(least, none)),
      finding(
        { ...row, work: `${work}, what 1,000 policies lose to 100`, bar: { atMost: 0.03 } },
        differences(ratios(policies100, none), ratios(policies1000, none)),
      ),
      finding({ ...row, work: `${work}, 1,000 policies, against no rules` }, ratios(policies1000, none)),
      finding(
        { ...row, work: `${work}, 1,000 policies with the service at work beside it, against no rules` },
        ratios(atWork1000, none),
      ),
    ];
  },
};
