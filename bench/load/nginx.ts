import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createDirectory } from "../../test/support/directories.ts";
import { hostAddresses, type Network } from "../../test/support/namespaces.ts";
import { untilListening } from "./instrumented-service.ts";

/** Starts a server in the host that closes each connection after one small answer; it lives as long as the network. */
export async function startClosingServer(network: Network, port: number): Promise<void> {
  const directory = await createDirectory();
  const file = join(directory.path, "nginx.conf");
  await writeFile(file, configuration(directory.path, port));
  const server = network.spawn("host", "nginx", ["-e", "stderr", "-p", directory.path, "-c", file], { stdio: "ignore" });
  server.once("close", () => directory.remove());
  await untilListening(network, `${hostAddresses[4]}:${port}`);
}

function configuration(directory: string, port: number): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${directory}/${kind};`);
  return `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_timeout 0;
  ${temporary.join("\n  ")}
  server {
    listen ${hostAddresses[4]}:${port} backlog=4096;
    location / { return 200 "ok"; }
  }
}
`;
}
