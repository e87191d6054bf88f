import { cp } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { createDirectory } from "../../test/support/directories.ts";
import { type Backend, program } from "../../test/support/kernel.ts";
import { createNetwork, type Network } from "../../test/support/namespaces.ts";
import { startService } from "../../test/support/service.ts";
import type { Bench } from "../harness/bench.ts";
import { finding } from "../harness/finding.ts";
import { countPrograms } from "../load/counted-programs.ts";
import { putBans, putPolicies } from "../load/state.ts";

const [policies, bans] = [1000, 20_000];

/** From the start of the process until it is ready, with much to do and with nothing to do. */
export const starts: Bench = {
  name: "start",
  async run({ backend, rounds }) {
    const directory = await createDirectory();
    const prepared = join(directory.path, "prepared");
    const counted = await countPrograms();
    const settings = { CONNLIMITD_LOG_LEVEL: "warn" };
    const start = async (network: Network, stateDirectory: string, path?: string) => {
      const [begun, busyBefore] = [performance.now(), busySeconds()];
      const service = await startService({
        network,
        backend,
        stateDirectory,
        readyTimeout: 60_000,
        readyEvery: 5,
        env: path === undefined ? settings : { ...settings, PATH: path },
      });
      const [seconds, busy] = [(performance.now() - begun) / 1000, busySeconds() - busyBefore];
      await service.stop();
      await service.dispose();
      return { seconds, busy };
    };
    try {
      {
        await using network = await createNetwork();
        await using service = await startService({ network, backend, stateDirectory: prepared, env: settings });
        await putPolicies(service, policies);
        await putBans(service, 0, bans);
        await service.stop();
      }
      const figures: Record<"empty" | "emptyBusy" | "full" | "fullBusy" | "writes" | "node" | "saves" | "restores", number[]> = {
        empty: [],
        emptyBusy: [],
        full: [],
        fullBusy: [],
        writes: [],
        node: [],
        saves: [],
        restores: [],
      };
      for (let round = 0; round < rounds; round += 1) {
        await using network = await createNetwork();
        const state = join(directory.path, `state-${round}`);
        await cp(prepared, state, { recursive: true });
        for (const kernel of ["empty", "full"] as const) {
          const { seconds, busy } = await start(network, state);
          figures[kernel].push(seconds);
          figures[`${kernel}Busy`].push(busy);
        }
        await counted.requests();
        await start(network, state, counted.path);
        figures.writes.push((await counted.requests()).writes);
        const bare = await bareTimes(network, backend, directory.path);
        for (const name of ["node", "saves", "restores"] as const) figures[name].push(bare[name]);
      }
      const work = `start with ${policies.toLocaleString("en")} policies and ${bans.toLocaleString("en")} bans until ready`;
      const row = { backend, raw: figures } as const;
      return [
        finding({ ...row, work: `${work}, into an empty kernel`, unit: "s", bar: { atMost: 2 } }, figures.empty),
        finding({ ...row, work: `${work}, into an empty kernel: time of the host's processors`, unit: "s" }, figures.emptyBusy),
        finding({ ...row, work: `${work}, into a kernel that has them`, unit: "s", bar: { atMost: 0.7 } }, figures.full),
        finding(
          { ...row, work: `${work}, into a kernel that has them: time of the host's processors`, unit: "s" },
          figures.fullBusy,
        ),
        finding(
          { ...row, work: `${work}, into a kernel that has them: writes`, unit: "count", bar: { atMost: 0 } },
          figures.writes,
        ),
        finding({ ...row, work: "Node alone, without a program", unit: "s" }, figures.node),
        finding(
          { ...row, work: "the bare programs: both tables and the sets saved from a kernel that has them", unit: "s" },
          figures.saves,
        ),
        finding({ ...row, work: "the bare programs: the same restored to an empty kernel", unit: "s" }, figures.restores),
      ];
    } finally {
      counted.remove();
      directory.remove();
    }
  },
};

/** Seconds for which the processors of this host, added up, were not idle since it started. */
function busySeconds(): number {
  const times = cpus().map(({ times: { user, nice, sys, irq } }) => user + nice + sys + irq);
  return times.reduce((sum, each) => sum + each, 0) / 1000;
}

/** Seconds that the programs take for as much, one after another. */
async function bareTimes(network: Network, backend: Backend, directory: string) {
  await using other = await createNetwork();
  const time = async (where: Network, ...commands: readonly string[]): Promise<number> => {
    const begun = performance.now();
    await where.exec("host", "sh", ["-ec", commands.join("\n")]);
    return (performance.now() - begun) / 1000;
  };
  const [four, six, sets] = ["four", "six", "sets"].map((name) => join(directory, name));
  const table = (family: 4 | 6, does: "-save" | "-restore") => program(backend, family, does);
  return {
    node: await time(other, `${process.execPath} -e 0`),
    saves: await time(
      network,
      `ipset save > ${sets}`,
      `${table(4, "-save")} -t filter > ${four}`,
      `${table(6, "-save")} -t filter > ${six}`,
    ),
    restores: await time(
      other,
      `ipset restore < ${sets}`,
      `${table(4, "-restore")} < ${four}`,
      `${table(6, "-restore")} < ${six}`,
    ),
  };
}
