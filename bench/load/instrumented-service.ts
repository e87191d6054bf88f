import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { createDirectory } from "../../test/support/directories.ts";
import { eventually } from "../../test/support/eventually.ts";
import type { Network } from "../../test/support/namespaces.ts";
import { type Service, type ServiceOptions, startService } from "../../test/support/service.ts";

/** What the service told of itself. */
export interface Readings {
  /** The longest time for which its event loop was kept since the last reading, in milliseconds. */
  readonly longestBlock: number;
  /** Resident memory in MB. */
  readonly resident: number;
}

export interface InstrumentedService {
  readonly service: Service;
  /** Its TCP listener in the host's namespace, and the header that it asks for. */
  readonly url: string;
  authorization(): Promise<string>;
  readings(): Promise<Readings>;
  [Symbol.asyncDispose](): Promise<void>;
}

const listener = "127.0.0.1:7306";

/** Starts the service with the settings that it has by default, but for the log, which says only what is wrong. */
export async function startInstrumentedService(options: ServiceOptions): Promise<InstrumentedService> {
  const directory = await createDirectory();
  const socket = join(directory.path, "instrument.sock");
  const service = await startService({
    readyTimeout: 60_000,
    tcpListener: listener,
    ...options,
    env: {
      CONNLIMITD_LOG_LEVEL: "warn",
      BENCH_INSTRUMENT: socket,
      NODE_OPTIONS: `--import=${join(import.meta.dirname, "instrument.ts")}`,
      ...options.env,
    },
  });
  await untilListening(options.network, listener);
  return {
    service,
    url: `http://${listener}`,
    authorization: async () =>
      `Authorization: Bearer ${(await readFile(join(service.stateDirectory, "admin.token"), "utf8")).trim()}`,
    readings: () => ask(socket),
    async [Symbol.asyncDispose]() {
      await service.dispose();
      directory.remove();
    },
  };
}

/** Waits for a listener in the host, `address:port`. */
export async function untilListening(network: Network, address: string): Promise<void> {
  const listening = async (): Promise<boolean> => (await network.exec("host", "ss", ["-Hltn"])).includes(` ${address} `);
  await eventually(`something listens on ${address}`, listening, { within: 10_000 });
}

function ask(socketPath: string): Promise<Readings> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path: "/", agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => resolve(JSON.parse(text) as Readings));
    })
      .on("error", reject)
      .end();
  });
}
