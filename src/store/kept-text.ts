import { readFileSync, rename, writeFile } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

/** A text of ASCII characters that outlasts the process; after a crash of the host it may be gone, or only in part there. */
export interface KeptText {
  /** Undefined where there is none that can be read. */
  read(): string | undefined;
  /** Replaces it as a whole. Rejects when it can't be written. */
  write(text: string): Promise<void>;
}

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
      await promisify(writeFile)(`${file}.new`, text, { encoding: "latin1", mode: 0o600 });
      await promisify(rename)(`${file}.new`, file);
    },
  };
}
