// How the service takes what fails around it: node bench/faults.ts [--seconds 60] [--backend nft|legacy]
// Each fault lasts as many seconds, a held lock half of them. The figures go to bench/figures/faults.jsonl.
import { parseArgs } from "node:util";
import {
  createFaultScene,
  type Fault,
  ipsetFaults,
  iptablesFaults,
  type Outcome,
  otherFaults,
  undergo,
} from "../test/kernel/faults.ts";
import type { Backend } from "../test/support/kernel.ts";
import { writeFigures } from "./figures.ts";
import { backendsOf, wholeNumber } from "./measurements.ts";

/** The promises, in milliseconds. */
const bounds = { told: 5000, written: 2000, recovered: 2000 } as const;

interface Row {
  readonly backend: Backend;
  readonly fault: Fault;
  readonly outcome: Outcome;
}

/** One service lives through all of them, one after another. */
async function measure(backend: Backend, seconds: number): Promise<readonly Row[]> {
  await using scene = await createFaultScene(backend);
  const rows: Row[] = [];
  for (const fault of [...iptablesFaults, ...ipsetFaults, ...otherFaults]) {
    if (!fault.backends.includes(backend)) continue;
    const lasting = fault.name.includes("lock") ? seconds * 500 : seconds * 1000;
    const row = { backend, fault, outcome: await undergo(scene, fault, { silent: true, lasting }) };
    rows.push(row);
    console.log(lineOf(row));
  }
  return rows;
}

function lineOf({ backend, fault, outcome }: Row): string {
  const { toldAfter, write, rulesKept, recoveredAfter } = outcome;
  const told = toldAfter === null ? "on write" : String(Math.round(toldAfter));
  const cells = [told.padStart(8), `${write.answer.status} after ${Math.round(write.after)}`.padStart(16)];
  const kept = rulesKept ? "kept" : "LOST";
  const verdict = holds(outcome) ? "" : "  SHORT";
  return `${backend.padEnd(6)}  ${fault.name.padEnd(36)}${cells.join("  ")}  ${kept}  ${String(Math.round(recoveredAfter)).padStart(9)}${verdict}`;
}

function holds({ toldAfter, write, rulesKept, recoveredAfter }: Outcome): boolean {
  return (toldAfter ?? 0) <= bounds.told && write.after <= bounds.written && rulesKept && recoveredAfter <= bounds.recovered;
}

const { values } = parseArgs({ options: { seconds: { type: "string" }, backend: { type: "string" } } });
const seconds = wholeNumber("seconds", values.seconds, 60);
const backends = backendsOf(values.backend);
console.log("backend fault                               /readyz ms     write, ms     rules  recovery ms");
const rows = (await Promise.all(backends.map((backend) => measure(backend, seconds)))).flat();
const worst = (select: (outcome: Outcome) => number): string =>
  `${Math.round(Math.max(...rows.map(({ outcome }) => select(outcome))))} ms at most`;
const among = `over ${rows.length} faults of up to ${seconds} s`;
const test = `node bench/faults.ts --seconds ${seconds}`;
writeFigures("faults", [
  { promise: "/readyz tells of a fault within 5 s", test, figure: `${worst(({ toldAfter }) => toldAfter ?? 0)}, ${among}` },
  { promise: "A write during a fault is answered within 2 s", test, figure: `${worst(({ write }) => write.after)}, ${among}` },
  {
    promise: "The service recovers by itself within 2 s after a fault",
    test,
    figure: `${worst((outcome) => outcome.recoveredAfter)}, ${among}`,
  },
  {
    promise: "The kernel keeps the last rules during a fault",
    test,
    figure: `${rows.filter(({ outcome }) => outcome.rulesKept).length} of ${rows.length} faults`,
  },
]);
if (!rows.every(({ outcome }) => holds(outcome))) process.exitCode = 1;
