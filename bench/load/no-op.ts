import { join } from "node:path";
import type { Network } from "../../test/support/namespaces.ts";
import { untilListening } from "./instrumented-service.ts";

const address = "127.0.0.1:7307";
const token = "no-operation";

/** The server of no-op-server.ts, in the host's namespace. */
export const noOp = { url: `http://${address}`, authorization: `Authorization: Bearer ${token}` } as const;

/** Starts it; it ends with the network. */
export async function startNoOp(network: Network): Promise<void> {
  const [host = "", port = ""] = address.split(":");
  network.spawn("host", process.execPath, [join(import.meta.dirname, "no-op-server.ts"), host, port, token], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  await untilListening(network, address);
}
