import { readdirSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { createNetwork } from "../../test/support/namespaces.ts";
import { startService } from "../../test/support/service.ts";
import type { Bench } from "../harness/bench.ts";
import { type Finding, finding } from "../harness/finding.ts";
import { putPolicies } from "../load/state.ts";

/** Seconds until what writes have left to do is done, rules that are kept for the next start among it; and of one measurement: several looks at all rules. */
const [settling, measuring] = [35, 10];
/** Of the times in /proc/PID/stat (proc(5)). */
const millisecondsPerTick = 10;

/** What a service takes of a processor that nobody asks for anything, with its programs. */
export const idle: Bench = {
  name: "idle",
  async run({ backend, fewRounds }) {
    const findings: Finding[] = [];
    for (const policies of [0, 100, 1000]) {
      await using network = await createNetwork();
      await using service = await startService({ network, backend, env: { CONNLIMITD_LOG_LEVEL: "warn" } });
      await putPolicies(service, policies);
      await setTimeout(settling * 1000);
      const figures: number[] = [];
      for (let round = 0; round < fewRounds; round += 1) {
        const before = busyMilliseconds(service.pid());
        await setTimeout(measuring * 1000);
        figures.push((busyMilliseconds(service.pid()) - before) / measuring);
      }
      const work = `an idle service and its programs, ${policies.toLocaleString("en")} policies: time of a processor in each second`;
      findings.push(finding({ work, backend, unit: "ms" }, figures));
    }
    return findings;
  },
};

/** Milliseconds that a process, its children and theirs have been at work, those that have ended included. */
function busyMilliseconds(pid: number): number {
  const processes = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (statOf(name) ?? []) : []));
  const busyOf = (one: number): number => {
    const own = processes.find((process) => process.pid === one)?.busy ?? 0;
    return processes.filter(({ parent }) => parent === one).reduce((sum, child) => sum + busyOf(child.pid), own);
  };
  return busyOf(pid);
}

function statOf(pid: string): { readonly pid: number; readonly parent: number; readonly busy: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in parentheses can hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { pid: Number(pid), parent: Number(fields[1]), busy: ticks * millisecondsPerTick };
  } catch {
    // It has ended.
    return undefined;
  }
}
