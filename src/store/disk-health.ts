import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { DomainError } from "../domain/errors.ts";

/** Bytes of free space under which a commit is tried, to see whether there is still room for one: a commit of a few rows takes some 20,000. */
const scarce = 1024 * 1024;

/** Whether the disk takes what is committed. */
export interface DiskHealth {
  /** Why it did not take the last commit; null when it did. */
  failure(): string | null;
  /** Runs something that commits, remembers what came of it, and turns the disk's refusal into a `DomainError` `store-unwritable`. */
  watch<T>(commit: () => Promise<T>): Promise<T>;
  /** True when only a commit can tell. */
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
      if (failure !== null) return true;
      try {
        const { bavail, bsize } = await statfs(dirname(file));
        return bavail * bsize < scarce;
      } catch {
        return true;
      }
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

function refusalOf(error: unknown): string | undefined {
  if (!(error instanceof Error && "errcode" in error && typeof error.errcode === "number")) return undefined;
  const remedy = refusals.get(error.errcode & 0xff);
  return remedy && `${remedy} (${error.message})`;
}
