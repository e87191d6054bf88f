// Kills the service at random moments while eight writers write: node bench/crashes.ts [--kills 1000] [--policies 1000] [--backend nft|legacy]
// The kills are shared by the backends. The figures go to bench/figures/crashes.jsonl.
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createCrashScene } from "../test/kernel/crashes.ts";
import type { Backend } from "../test/support/kernel.ts";
import { seededRandom } from "../test/support/random.ts";
import { writeFigures } from "./figures.ts";
import { backendsOf, printTable, wholeNumber } from "./measurements.ts";

interface Run {
  readonly acknowledged: number;
  readonly contradictions: number;
  /** Milliseconds of each start until the kernel was in step, and until the service was ready. */
  readonly inStep: readonly number[];
  readonly ready: readonly number[];
}

async function measure(backend: Backend, kills: number, policies: number): Promise<Run> {
  const seed = Date.now();
  console.log(`${backend}: ${kills} kills, ${policies} policies, seed ${seed}`);
  await using scene = await createCrashScene(backend, policies, seededRandom(seed));
  // As on a host, a service has lived long enough for the code of its start to be kept.
  await setTimeout(5000);
  const [inStep, ready]: [number[], number[]] = [[], []];
  let contradictions = 0;
  for (let kill = 1; kill <= kills; kill += 1) {
    const crash = await scene.crash();
    inStep.push(crash.inStepAfter);
    ready.push(crash.readyAfter);
    contradictions += crash.contradictions.length;
    for (const text of crash.contradictions) console.log(`${backend}: kill ${kill}: ${text}`);
    if (kill % 20 === 0) console.log(`${backend}: ${kill} of ${kills} kills, ${scene.acknowledged()} writes acknowledged`);
  }
  return { acknowledged: scene.acknowledged(), contradictions, inStep, ready };
}

const { values } = parseArgs({
  options: { kills: { type: "string" }, policies: { type: "string" }, backend: { type: "string" } },
});
const kills = wholeNumber("kills", values.kills, 1000);
const policies = wholeNumber("policies", values.policies, 1000);
const backends = backendsOf(values.backend);
const runs: Run[] = [];
for (const backend of backends) runs.push(await measure(backend, Math.ceil(kills / backends.length), policies));
const sum = (select: (run: Run) => number): number => runs.reduce((total, run) => total + select(run), 0);
const inStep = runs.flatMap((run) => run.inStep).toSorted((a, b) => a - b);
const within = inStep.filter((time) => time <= 1000).length;
const [median = 0, last = 0] = [inStep[inStep.length >> 1], inStep.at(-1)];
printTable("start until in step", new Map(backends.map((backend, index) => [backend, runs[index]?.inStep ?? []])));
printTable("start until ready", new Map(backends.map((backend, index) => [backend, runs[index]?.ready ?? []])));
const summary = `${inStep.length} SIGKILLs, ${sum((run) => run.acknowledged)} acknowledged writes, ${sum((run) => run.contradictions)} lost, half applied or out of step`;
console.log(summary);
const test = [
  `node bench/crashes.ts --kills ${kills} --policies ${policies}`,
  ...(values.backend === undefined ? [] : [`--backend ${values.backend}`]),
].join(" ");
writeFigures(["crashes", ...(values.backend === undefined ? [] : backends)].join("-"), [
  { promise: "No acknowledged write is lost or half applied by a SIGKILL", test, figure: summary },
  {
    promise: "Kernel and store are in step within 1 s of the start",
    test,
    figure: `${within} of ${inStep.length} starts, ${Math.round(median)} ms in the median, ${Math.round(last)} ms at most, with ${policies} policies`,
  },
]);
if (sum((run) => run.contradictions) > 0) process.exitCode = 1;
