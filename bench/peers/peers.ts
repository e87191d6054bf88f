import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { createNetwork } from "../../test/support/namespaces.ts";
import type { Bench, BenchContext } from "../harness/bench.ts";
import { type Bar, type Finding, finding } from "../harness/finding.ts";
import { startInstrumentedService } from "../load/instrumented-service.ts";
import { liftBans } from "../load/state.ts";
import { runWrk } from "../load/wrk.ts";
import { bareTools } from "./bare-tools.ts";
import { crowdsec } from "./crowdsec.ts";
import { fail2ban } from "./fail2ban.ts";
import type { Peer } from "./peer.ts";

const bars = new Map<Peer, Bar>([
  [crowdsec, { atLeast: 25 }],
  [fail2ban, { atLeast: 50 }],
]);

/** Rounds before those that count, in which V8 optimizes what is called. */
const warmUps = 7;

/** Other ways to ban addresses: how fast they are, and what the kernel holds afterwards. */
export const peers: Bench = {
  name: "peers",
  once: true,
  async run(context) {
    const findings: Finding[] = [];
    const own = await ownSpeed(context);
    findings.push(finding({ work: "bans: this service, 32 callers", backend: context.backend, unit: "per second" }, own));
    for (const peer of [...bareTools, fail2ban, crowdsec]) findings.push(...(await compare(peer, own, context)));
    return findings;
  },
};

async function ownSpeed({ backend, rounds, seconds }: BenchContext): Promise<readonly number[]> {
  await using network = await createNetwork();
  await using running = await startInstrumentedService({ network, backend });
  const authorization = await running.authorization();
  const figures: number[] = [];
  for (let round = 0; round < warmUps + rounds; round += 1) {
    const { perSecond } = await runWrk(network, "host", {
      url: running.url,
      connections: 32,
      seconds,
      headers: [authorization],
      script: "put-bans.lua",
      words: ["/v1/bans/", String(round * 2 ** 17)],
    });
    if (round >= warmUps) figures.push(perSecond);
    await liftBans(running.service);
  }
  return figures;
}

async function compare(peer: Peer, own: readonly number[], { seconds, say }: BenchContext): Promise<readonly Finding[]> {
  const count = 200 * seconds;
  const row = { backend: "" } as const;
  if (!(await isInstalled(peer.program))) {
    say(`  not installed: ${peer.program}`);
    return [];
  }
  say(`  ${peer.name}`);
  try {
    const { seconds: taken, acknowledged, failed = 0, inKernel } = await peer.measure(count);
    const speed = acknowledged / taken;
    const kept = `${inKernel.toLocaleString("en")} of ${acknowledged.toLocaleString("en")} acknowledged in the kernel`;
    const note = failed === 0 ? kept : `${kept}, ${failed.toLocaleString("en")} refused`;
    const bar = bars.get(peer);
    const ratio = bar === undefined ? [] : own.map((one) => one / speed);
    return [
      finding({ ...row, work: `bans: ${peer.name}`, unit: "per second", note }, [speed]),
      ...(ratio.length === 0
        ? []
        : [finding({ ...row, work: `this service to ${peer.name}`, unit: "times", bar: bar ?? null }, ratio)]),
    ];
  } catch (error) {
    say(`  not measured: ${peer.name}: ${String(error).slice(0, 500)}`);
    return [];
  }
}

async function isInstalled(program: string): Promise<boolean> {
  const directories = (process.env["PATH"] ?? "").split(delimiter);
  const found = directories.map((directory) =>
    access(join(directory, program)).then(
      () => true,
      () => false,
    ),
  );
  return (await Promise.all(found)).includes(true);
}
