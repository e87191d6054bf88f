// In the steady state the service writes nothing to the kernel.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { withDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import { type Backend, families, forBackendsSideBySide, program, save } from "../support/kernel.ts";
import { createScene } from "../support/scene.ts";
import { withoutPadding } from "./sent.ts";

const [counted, scoped] = [5900, 5901];
const quiet = 6_000;
/** More bans than a program prints at once. */
const many = 1_500;

forBackendsSideBySide((backend) => {
  test(`in ${quiet / 1_000} s without a change nothing is written: no restore, no set, no list`, async () => {
    await withDirectory(async (directory) => {
      const [log, path] = [join(directory, "calls"), process.env["PATH"] ?? ""];
      await logPrograms(directory, log, backend);
      await using scene = await createScene({
        backend,
        ports: [counted, scoped],
        env: { PATH: `${directory}:${path}`, PATH_AS_IT_WAS: path },
      });
      const { api, traffic, network } = scene;
      await api.putPolicy("counted", { ports: [counted], maxConnections: 1, ban: { seconds: 600 }, exempt: ["10.9.9.9"] });
      await api.putPolicy("scoped", {
        ports: [scoped],
        maxConnections: 1,
        ban: { seconds: 600, scope: "ports", renewOnAttempt: true },
      });
      for (const { source } of families) {
        for (const n of [1, 2]) await api.putBan(source(n), n === 2 ? { ttlSeconds: 600 } : {});
        await traffic.exceed([source(3)], counted, 1);
        await traffic.exceed([source(4)], scoped, 1);
      }
      for (const address of ["10.9.77.0/24", "2001:db8:9:77::/64"]) await api.putBan(address, { ttlSeconds: 600 });
      await eventually("all bans are listed", async () => (await api.bans()).length === 10);
      await api.batch({ put: Array.from({ length: many }, (_, n) => ({ address: `10.8.${n >> 8}.${n & 255}` })) });
      const settledAt = Date.now();
      await eventually("what follows from them is done", () => Date.now() - settledAt > 2_500, { every: 100 });

      /** Everything that a write would change: rules with their handles, lists with their stamps, sets but for the time that runs. */
      const kernel = async (): Promise<unknown> => [
        ...(await Promise.all(families.map(({ family }) => save(network, backend, family)))),
        await network.exec("host", "sh", ["-c", "cd /proc/net/xt_recent && grep . *"]),
        (await network.exec("host", "ipset", ["save"])).replace(/timeout \d+$/gm, ""),
        (await network.tryExec("host", "nft", ["-a", "list", "ruleset"])).stdout.replace(
          / (counter )?packets \d+ bytes \d+/g,
          "",
        ),
      ];
      const before = await kernel();
      const { repairs } = (await api.status()).passes;
      const calls = (): readonly string[] =>
        existsSync(log) ? withoutPadding(readFileSync(log, "utf8")).split("\n").filter(Boolean) : [];
      const already = calls().length;
      const events: string[] = [];
      const monitor = network.spawn("host", "sh", ["-c", "exec nft monitor"], { stdio: ["ignore", "pipe", "ignore"] });
      monitor.stdout?.setEncoding("utf8").on("data", (text: string) => events.push(text));
      const begun = Date.now();
      await eventually("the quiet time is over", () => Date.now() - begun > quiet, { within: quiet + 2_000, every: 100 });
      monitor.kill("SIGKILL");

      const made = calls().slice(already);
      assert.ok(made.length >= 2, "it looks");
      // nftables tells itself that nothing has changed, and one chain is listed to see that iptables still can. No program is started for the sets.
      const listing = ["# cld", "*filter", backend === "nft" ? "-S INPUT" : "-S", "COMMIT"];
      assert.deepEqual(
        new Set(made.map((line) => line.replace(/^# cld [0-9a-f]{16}$/, "# cld"))),
        new Set([...listing, "save", "version", "help"]),
      );
      assert.deepEqual(await kernel(), before);
      assert.deepEqual(events, [], "nft monitor");
      assert.deepEqual((await api.status()).passes.repairs, repairs);
    });
  });
});

/** Stand-ins for the programs, which log how they are run and, where they read on, what they read. */
async function logPrograms(directory: string, log: string, backend: Backend): Promise<void> {
  const restores = families.map(({ family }) => program(backend, family, "-restore"));
  const others = [...families.map(({ family }) => program(backend, family)), "conntrack", "ss"];
  for (const name of [...restores, "ipset", ...others]) {
    const run = others.includes(name)
      ? `exec ${name} "$@"`
      : `case "$1" in save|list|destroy) exec ${name} "$@" ;; esac\ntee -a ${log} | ${name} "$@"`;
    const logged = `#!/bin/sh\necho "${name} $*" >> ${log}\nPATH=$PATH_AS_IT_WAS\n${run}\n`;
    await writeFile(join(directory, name), logged, { mode: 0o755 });
  }
}
