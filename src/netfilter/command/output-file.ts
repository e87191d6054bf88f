import { closeSync, fstatSync, openSync, readSync, rmSync, statfsSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";

/** A file without a name that a program writes to. */
export interface OutputFile {
  readonly descriptor: number;
  /** What is in it; undefined where that is more than anybody reads, can't be read, or may lack something. */
  read(): string | undefined;
  close(): void;
}

/** Bytes that are to be free where the file is, before a program writes and when it has ended. */
export interface Room {
  readonly before: number;
  readonly after: number;
}

/** Bytes that one file may have. */
const longest = 64 * 1024 ** 2;
/** For a few such files at a time, and all others who write there. What a full disk does not take is missing anywhere, and the program goes on. */
const leastRoom: Room = { before: 4 * longest, after: longest };

/**
 * @param path where it has a name for a moment, in place of what a crash may have left there
 * @returns undefined where it can't be made
 */
export function openOutputFile(path: string, room: Room = leastRoom): OutputFile | undefined {
  let descriptor: number | undefined;
  try {
    if (!hasRoom(path, room.before)) return undefined;
    rmSync(path, { force: true });
    const opened = openSync(path, "wx+", 0o600);
    descriptor = opened;
    unlinkSync(path);
    return { descriptor: opened, read: () => textIn(opened, path, room.after), close: () => closeSync(opened) };
  } catch {
    if (descriptor !== undefined) closeSync(descriptor);
    return undefined;
  }
}

function textIn(descriptor: number, path: string, room: number): string | undefined {
  try {
    const { size } = fstatSync(descriptor);
    if (size > longest || !hasRoom(path, room)) return undefined;
    const output = Buffer.alloc(size);
    readSync(descriptor, output, 0, size, 0);
    return output.toString("utf8");
  } catch {
    return undefined;
  }
}

function hasRoom(path: string, bytes: number): boolean {
  const { bavail, bsize } = statfsSync(dirname(path));
  return bavail * bsize >= bytes;
}
