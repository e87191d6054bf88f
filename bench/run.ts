// npm run bench: what the service costs, as a table with a bar for each row.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { styleText } from "node:util";
import { root } from "../test/support/service.ts";
import { benches, peerBenches } from "./benches.ts";
import { type RunArguments, readRunArguments, usage } from "./harness/arguments.ts";
import type { Bench } from "./harness/bench.ts";
import type { Finding } from "./harness/finding.ts";
import { machineLine } from "./harness/machine.ts";
import { type Failure, writeReport } from "./harness/report.ts";
import { textTable } from "./harness/table.ts";

/** A bench that could not be measured. */
const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(): Promise<void> {
  const options = argumentsOrUsage();
  if (options.peers) spawnSync("sh", [join(root, "scripts/setup.sh"), "--bench-peers"], { stdio: "inherit" });
  const chosen = [...benches, ...(options.peers ? peerBenches : [])].filter(
    ({ name }) => options.only.length === 0 || options.only.some((beginning) => name.startsWith(beginning)),
  );
  if (chosen.length === 0) throw new TypeError(`--only takes the beginning of ${benches.map(({ name }) => name).join(", ")}`);
  const machine = machineLine();
  say(machine);
  const begun = performance.now();
  const findings: Finding[] = [];
  const failures: Failure[] = [];
  for (const bench of chosen) {
    for (const backend of bench.once === true ? options.backends.slice(0, 1) : options.backends) {
      await measure(bench, { ...options, backend, say }, findings, failures);
    }
  }
  console.log(`\n${textTable(findings)}\n\n${machine}`);
  for (const { name, backend, reason } of failures) console.log(`not measured: ${name} on ${backend}: ${reason}`);
  say(`${Math.round((performance.now() - begun) / 1000)} s in all`);
  if (failures.length > 0) process.exitCode = 1;
  // Half an hour of figures is not lost to one that is missing.
  if (options.writes) await writeReport({ machine, findings, failures, rounds: options.rounds, when: new Date() });
}

async function measure(
  bench: Bench,
  context: Parameters<Bench["run"]>[0],
  findings: Finding[],
  failures: Failure[],
): Promise<void> {
  const label = bench.once === true ? bench.name : `${bench.name} on ${context.backend}`;
  const begun = performance.now();
  try {
    const found = await bench.run(context);
    findings.push(...found);
    say(`${styleText("bold", label)} (${Math.round((performance.now() - begun) / 1000)} s)\n${textTable(found)}\n`);
  } catch (error) {
    failures.push({ name: bench.name, backend: context.backend, reason: String(error).slice(0, 1000) });
    say(`${styleText("red", label)}: ${error instanceof Error ? error.stack : String(error)}\n`);
  }
}

function argumentsOrUsage(): RunArguments {
  try {
    return readRunArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
    process.exit(2);
  }
}

await main();
