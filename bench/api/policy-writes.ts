import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createDirectory } from "../../test/support/directories.ts";
import { type Backend, program } from "../../test/support/kernel.ts";
import { createNetwork, type Network } from "../../test/support/namespaces.ts";
import type { Service } from "../../test/support/service.ts";
import type { Bench } from "../harness/bench.ts";
import { finding } from "../harness/finding.ts";
import { alternate } from "../harness/rounds.ts";
import { ratios, spreadOf } from "../harness/statistics.ts";
import { startInstrumentedService } from "../load/instrumented-service.ts";
import { assertDone, firstPort, policyName, putPolicies } from "../load/state.ts";
import { runWrk } from "../load/wrk.ts";

const path = `/v1/policies/${policyName(0)}`;

/** What a limit's change takes, to the two bare commands that make the same change of the same rules. */
export const policyWrites: Bench = {
  name: "api/policy-writes",
  async run({ backend, rounds, seconds }) {
    await using network = await createNetwork();
    await using bare = await createNetwork();
    await using running = await startInstrumentedService({ network, backend });
    const { service } = running;
    await putPolicies(service, 10);
    const script = await bareScript(service, network, bare, backend);
    const authorization = await running.authorization();
    const put = async (): Promise<number> => {
      const { perSecond } = await runWrk(network, "host", {
        url: running.url,
        connections: 1,
        seconds,
        headers: [authorization],
        script: "put-policy.lua",
        words: [path, String(firstPort)],
      });
      return 1000 / perSecond;
    };
    const runBare = async (): Promise<number> => {
      const times = (await bare.exec("host", "bash", [script.file, String(20 * seconds)])).trim().split("\n").map(Number);
      return spreadOf(times).median / 1000;
    };
    await put();
    const figures = await alternate(rounds, { put, bare: runBare });
    script.remove();
    const work = "PUT /v1/policies/{name}, one at a time";
    return [
      finding(
        { work: `${work}, to the two bare restores`, backend, unit: "times", bar: { atMost: 1.5 }, raw: figures },
        ratios(figures.put, figures.bare),
      ),
      finding({ work, backend, unit: "ms" }, figures.put),
      finding({ work: "iptables-restore and ip6tables-restore of the same lines", backend, unit: "ms" }, figures.bare),
    ];
  },
};

interface Plan {
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
}

/** Copies the host's rules to another host; the script changes the limit there and back, and prints the microseconds of each change. */
async function bareScript(service: Service, from: Network, to: Network, backend: Backend) {
  const directory = await createDirectory();
  const lines: string[] = [];
  for (const [index, limit] of [10, 11].entries()) {
    const body = { ports: [firstPort], maxConnections: limit, ban: { seconds: 60 } };
    assertDone(await service.request("PUT", path, { ...body, maxConnections: 21 - limit }));
    if (index === 0) await copyRules(from, to, backend);
    const answer = await service.request("PUT", `${path}?dryRun=true`, body);
    assertDone(answer);
    const { plan } = answer.body as { readonly plan: Plan };
    for (const family of [4, 6] as const) {
      const file = join(directory.path, `${family}-${limit}`);
      await writeFile(file, [...plan[`ipv${family}`], ""].join("\n"));
      lines.push(`${program(backend, family, "-restore")} -w 5 --noflush < ${file}`);
    }
  }
  const measured = [lines.slice(0, 2), lines.slice(2)].map(
    (commands) => `begun=\${EPOCHREALTIME/[.,]/}\n${commands.join("\n")}\necho $((\${EPOCHREALTIME/[.,]/} - begun))`,
  );
  const file = join(directory.path, "bare.sh");
  await writeFile(file, `set -e\nfor ((round = 0; round < $1; round += 2)); do\n${measured.join("\n")}\ndone\n`);
  return { file, remove: () => directory.remove() };
}

async function copyRules(from: Network, to: Network, backend: Backend): Promise<void> {
  await to.exec("host", "ipset", ["restore"], await from.exec("host", "ipset", ["save"]));
  for (const family of [4, 6] as const) {
    const saved = await from.exec("host", program(backend, family, "-save"), ["-t", "filter"]);
    await to.exec("host", program(backend, family, "-restore"), ["-w", "5"], saved);
  }
}
