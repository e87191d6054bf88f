import { lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";
import type { FastifyInstance } from "fastify";

/** Mode of a unix socket: its owner and group may open it, and whoever can is an administrator. */
const othersMayNot = 0o117;

/** Connections that the kernel keeps until they are taken: more than slow clients bring at once, as otherwise it would leave out others too. */
const backlog = 4096;

/** Where one server listens. */
export type ListenAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/**
 * Listens; a socket file that a process left behind is replaced.
 * @throws {Error} with a system error's `code` when the address is taken or not to be had
 */
export async function listen(app: FastifyInstance, address: ListenAddress): Promise<void> {
  if (address.kind === "tcp") {
    await app.listen({ host: address.host, port: address.port, backlog });
    return;
  }
  refuseOtherFile(address.path);
  await removeStaleSocket(address.path);
  const mask = process.umask(othersMayNot);
  try {
    await app.listen({ path: address.path, backlog });
  } finally {
    process.umask(mask);
  }
}

/** Whatever stands there that is no socket is somebody's. */
function refuseOtherFile(path: string): void {
  const present = lstatSync(path, { throwIfNoEntry: false });
  if (present && !present.isSocket())
    throw Object.assign(new Error(`${path} is not a socket`), { code: "a file that is no socket is there" });
}

/** Removes the socket only when nobody answers on it. */
async function removeStaleSocket(path: string): Promise<void> {
  const outcome = await new Promise<string>((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => resolve("answered"));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
    socket.once("close", () => socket.destroy());
  });
  if (outcome === "ECONNREFUSED") rmSync(path, { force: true });
}
