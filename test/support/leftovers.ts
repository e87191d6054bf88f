const leftovers = new Set<() => void>();
let hooked = false;

/**
 * Runs `remove`, which has to be synchronous, when the process ends, also on SIGINT and SIGTERM. The result takes it back; it is
 * true the first time.
 */
export function removeAtExit(remove: () => void): () => boolean {
  if (!hooked) {
    hooked = true;
    process.on("exit", () => {
      for (const each of leftovers) each();
    });
    process.on("SIGINT", () => process.exit(130));
    process.on("SIGTERM", () => process.exit(143));
  }
  leftovers.add(remove);
  return () => leftovers.delete(remove);
}
