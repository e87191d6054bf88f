import { statfs } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { DomainError } from "../domain/errors.ts";

/** Bytes of free space under which a commit is tried, to see whether there is still room for one. */
const scarce = 1024 * 1024;
/** The same under which it is not tried again once it has failed: a commit of a single row could pass where others do not. */
const hardlyAny = 64 * 1024;

/** Whether the disk takes what is committed. */
export interface DiskHealth {
  /** Why it did not take the last commit; null when it did. */
  failure(): string | null;
  /** Runs something that commits, remembers what came of it, and turns the disk's refusal into a `DomainError` `store-unwritable`. */
  watch<T>(commit: () => Promise<T>): Promise<T>;
  /** True when only a commit can tell whether it does now. */
  isInDoubt(): Promise<boolean>;
}

/** @param file the database */
export function createDiskHealth(file: string): DiskHealth {
  let failure: string | null = null;
  return {
    failure: () => failure,
    watch: async (commit) => {
      try {
        const result = await commit();
        failure = null;
        return result;
      } catch (error) {
        const reason = refusalOf(error);
        if (reason === undefined) throw error;
        failure = `${file} can't be written: ${reason}`;
        throw new DomainError("store-unwritable", `${failure}. Nothing was stored, and the kernel keeps what it has.`);
      }
    },
    isInDoubt: async () => {
      const free = await freeBytes(dirname(file));
      return failure === null ? free < scarce : free >= hardlyAny;
    },
  };
}

/** By the primary result code: https://www.sqlite.org/rescode.html */
const refusals = new Map<number, string>([
  [8, "its file system or the file is read-only; make it writable again, or give the service another CONNLIMITD_STATE_DIR"],
  [10, "the disk reports an error; see the kernel's log (dmesg), and move the state directory to a disk that works"],
  [13, "the disk is full; free some space on its file system"],
  [14, "its directory is gone or can't be written; put it back as it was and restart the service"],
]);

/** Where the file system does not tell, there is as much as could be. */
async function freeBytes(directory: string): Promise<number> {
  try {
    const { bavail, bsize } = await promisify(statfs)(directory);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof Error && "errcode" in error && typeof error.errcode === "number")) return undefined;
  const remedy = refusals.get(error.errcode & 0xff);
  return remedy && `${remedy} (${error.message})`;
}
