import { createServer } from "node:net";

/** Abstract unix sockets (unix(7)) belong to a network namespace, as the rules do, and end with their process. */
const lockName = "\0connlimitd";

/** Another process drives the same network namespace's rules. */
export class NamespaceInUseError extends Error {
  override readonly name = "NamespaceInUseError";
}

/**
 * Makes this process the only one that drives the rules of its network namespace; two would undo each other's rules without end.
 * @returns gives the place up
 * @throws {NamespaceInUseError}
 */
export async function lockNamespace(): Promise<() => Promise<void>> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const taken = "another connlimitd drives the rules of this network namespace; stop it first";
      reject(error.code === "EADDRINUSE" ? new NamespaceInUseError(taken) : error);
    });
    server.listen(lockName, resolve);
  });
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
}
