import { closeSync, fstatSync, openSync, readSync, unlinkSync } from "node:fs";

/** A file without a name that a program writes to. */
export interface OutputFile {
  readonly descriptor: number;
  /** What is in it; undefined where that is more than anybody reads, or can't be read. */
  read(): string | undefined;
  close(): void;
}

/** Bytes. */
const longest = 64 * 1024 ** 2;

/** @param path where it has a name for a moment, in place of what a crash may have left there @returns undefined where it can't be made */
export function openOutputFile(path: string): OutputFile | undefined {
  try {
    const descriptor = openSync(path, "w+", 0o600);
    unlinkSync(path);
    return {
      descriptor,
      read: () => {
        try {
          const { size } = fstatSync(descriptor);
          if (size > longest) return undefined;
          const output = Buffer.alloc(size);
          readSync(descriptor, output, 0, size, 0);
          return output.toString("utf8");
        } catch {
          return undefined;
        }
      },
      close: () => closeSync(descriptor),
    };
  } catch {
    return undefined;
  }
}
