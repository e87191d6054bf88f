import { writeSync } from "node:fs";

/** Where pino writes its lines. */
export interface LogDestination {
  write(line: string): void;
}

/**
 * Writes lines to a file descriptor, by default stdout. A line that it does not take, as its disk is full or its reader gone, is
 * lost: the service goes on without a log.
 */
export function createLogDestination(descriptor = 1): LogDestination {
  return {
    write: (line) => {
      const bytes = Buffer.from(line);
      try {
        for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
      } catch {
        // There is no other place to tell it.
      }
    },
  };
}
