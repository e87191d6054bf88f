import { closeSync, openSync, readSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";

const chunkBytes = 64 * 1024;
/** Bytes that are read before other work gets its turn. */
const bytesPerTurn = 128 * 1024;
const newline = 0x0a;

/**
 * The lines of a file of /proc, or those of them that hold `text`, some at a time; none where there is no such file. They are read without a detour over
 * other threads, as /proc is in memory: where many write at a time, each such detour would cost a turn of the event loop. Other work gets
 * its turn after so many bytes. Lines without `text` cost hardly more than the kernel takes to print them, as none becomes a string.
 */
export async function* linesOf(file: string, text = ""): AsyncGenerator<readonly string[]> {
  const descriptor = openIfThere(file);
  if (descriptor === undefined) return;
  try {
    // Room for the beginning of a line before each chunk.
    const buffer = Buffer.allocUnsafe(2 * chunkBytes);
    let rest = 0;
    let sinceTurn = 0;
    const read = (): number => readSync(descriptor, buffer, rest, chunkBytes, null);
    for (let length = read(); length > 0; length = read()) {
      const end = rest + length;
      const whole = buffer.subarray(0, end).lastIndexOf(newline) + 1;
      if (whole > 0) yield linesWith(text, buffer.subarray(0, whole));
      // No line of /proc is as long as a chunk.
      rest = end - whole < chunkBytes ? buffer.copy(buffer, 0, whole, end) : 0;
      sinceTurn += length;
      if (sinceTurn < bytesPerTurn) continue;
      sinceTurn = 0;
      await nextTurn();
    }
  } finally {
    closeSync(descriptor);
  }
}

/** @param lines whole ones, each with its line break */
function linesWith(text: string, lines: Buffer): readonly string[] {
  if (text === "") return lines.toString("latin1", 0, lines.length - 1).split("\n");
  const found: string[] = [];
  for (let at = lines.indexOf(text); at >= 0; ) {
    const end = lines.indexOf(newline, at);
    found.push(lines.toString("latin1", lines.lastIndexOf(newline, at) + 1, end));
    at = lines.indexOf(text, end);
  }
  return found;
}

/** A kernel that tracks no connections has no such file. */
function openIfThere(file: string): number | undefined {
  try {
    return openSync(file, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
