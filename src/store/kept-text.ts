import { readFileSync, rename, rm, statfs, unlink, writeFile } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

/** A text of ASCII characters that outlasts the process; after a crash of the host it may be gone, or only in part there. */
export interface KeptText {
  /** Undefined where there is none that can be read. */
  read(): string | undefined;
  /** Replaces it as a whole. Rejects when it can't be written, and where the database may need the room. */
  write(text: string): Promise<void>;
  /** Does nothing where there is none. */
  remove(): Promise<void>;
}

/** Bytes of free space under which nothing is written. */
const leastRoom = 32 * 1024 ** 2;

/** A file of the state directory beside the database. */
export function createKeptText({ stateDirectory }: { readonly stateDirectory: string }, name: string): KeptText {
  const file = join(stateDirectory, name);
  return {
    read: () => {
      try {
        return readFileSync(file, "latin1");
      } catch {
        return undefined;
      }
    },
    write: async (text) => {
      const { bavail, bsize } = await promisify(statfs)(stateDirectory);
      if (bavail * bsize < leastRoom)
        throw new Error(`${stateDirectory} has less than ${leastRoom / 1024 ** 2} MiB of room left`);
      try {
        await promisify(writeFile)(`${file}.new`, text, { encoding: "latin1", mode: 0o600 });
        await promisify(rename)(`${file}.new`, file);
      } catch (error) {
        await promisify(unlink)(`${file}.new`).catch(() => undefined);
        throw error;
      }
    },
    remove: () => promisify(rm)(file, { force: true }),
  };
}
