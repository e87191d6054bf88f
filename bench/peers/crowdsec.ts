import { execFile } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { createDirectory } from "../../test/support/directories.ts";
import { eventually } from "../../test/support/eventually.ts";
import { createNetwork, type Network } from "../../test/support/namespaces.ts";
import { untilListening } from "../load/instrumented-service.ts";
import { runWrk } from "../load/wrk.ts";
import type { Peer } from "./peer.ts";

const run = promisify(execFile);
const listener = "127.0.0.1:8080";
const [machine, password] = ["bench", "bench-has-a-password"];
const callers = 32;

/** Alerts with a decision each to CrowdSec's local API, by as many callers. It writes nothing to the kernel: its bouncers come and ask. */
export const crowdsec: Peer = {
  name: `CrowdSec, ${callers} callers of its local API`,
  program: "apt-get",
  async measure() {
    await using network = await createNetwork();
    const directory = await createDirectory();
    try {
      const programs = await unpack(directory.path);
      const config = join(directory.path, "config.yaml");
      await writeConfiguration(directory.path, config);
      const cscli = (...words: readonly string[]) => network.exec("host", join(programs, "cscli"), ["-c", config, ...words]);
      await cscli(
        "machines",
        "add",
        machine,
        "--password",
        password,
        "--file",
        join(directory.path, "credentials.yaml"),
        "--force",
      );
      network.spawn("host", join(programs, "crowdsec"), ["-c", config, "-no-cs"], { stdio: "ignore" });
      await untilListening(network, listener);
      const token = await login(network);
      const begun = performance.now();
      const { answers, failed } = await runWrk(network, "host", {
        url: `http://${listener}`,
        connections: callers,
        seconds: 5,
        headers: [`Authorization: Bearer ${token}`, "User-Agent: crowdsec/1.4.6"],
        script: "post-alerts.lua",
        words: ["0"],
        mayFail: true,
      });
      const seconds = (performance.now() - begun) / 1000;
      return { seconds, acknowledged: answers - failed, failed, inKernel: 0 };
    } finally {
      directory.remove();
    }
  },
};

/** Takes Debian's package apart beside the system: it would register with its makers and start a service. */
async function unpack(directory: string): Promise<string> {
  await run("apt-get", ["download", "-qq", "-o", "APT::Sandbox::User=root", "crowdsec"], { cwd: directory });
  const [file] = (await readdir(directory)).filter((name) => name.endsWith(".deb"));
  if (file === undefined) throw new Error("apt-get has downloaded no package");
  await run("dpkg-deb", ["--extract", join(directory, file), join(directory, "package")]);
  return join(directory, "package/usr/bin");
}

async function writeConfiguration(directory: string, file: string): Promise<void> {
  await writeFile(join(directory, "profiles.yaml"), "name: nothing\nfilters:\n - 'false'\ndecisions: []\non_success: break\n");
  await writeFile(join(directory, "simulation.yaml"), "simulation: false\n");
  await writeFile(join(directory, "credentials.yaml"), "");
  const lines = [
    "common: {daemonize: false, log_media: stdout, log_level: error, working_dir: .}",
    `config_paths: {config_dir: ${directory}, data_dir: ${directory}, simulation_path: ${directory}/simulation.yaml, hub_dir: ${directory}, index_path: ${directory}/index.json}`,
    `db_config: {type: sqlite, db_path: ${directory}/crowdsec.db, log_level: error}`,
    "api:",
    `  client: {credentials_path: ${directory}/credentials.yaml}`,
    `  server: {log_level: error, listen_uri: "${listener}", profiles_path: ${directory}/profiles.yaml}`,
    "prometheus: {enabled: false}",
  ];
  await writeFile(file, `${lines.join("\n")}\n`);
}

async function login(network: Network): Promise<string> {
  const body = JSON.stringify({ machine_id: machine, password, scenarios: [] });
  return eventually(
    "CrowdSec lets the machine in",
    async () => {
      const ask = `exec 3<>/dev/tcp/127.0.0.1/8080; printf 'POST /v1/watchers/login HTTP/1.0\\r\\nUser-Agent: crowdsec/1.4.6\\r\\nContent-Type: application/json\\r\\nContent-Length: ${body.length}\\r\\n\\r\\n%s' '${body}' >&3; cat <&3`;
      const { stdout } = await network.tryExec("host", "bash", ["-c", ask]);
      return /"token":"([^"]+)"/.exec(stdout)?.[1];
    },
    { within: 10_000, every: 200 },
  );
}
