import { isAscii } from "node:buffer";
import { hash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { Script } from "node:vm";

/** Loads scripts with the code that V8 has made of their functions at an earlier start. */
export interface ScriptLoader {
  /** The exports of a CommonJS script, which is run when it is asked for first; so are the scripts beside it that it requires. */
  load(file: string): unknown;
  /**
   * Keeps the code of all functions that have been called so far, where more of them have been than before. Never rejects.
   * @param onMade called when it is made, and has yet to be written
   */
  keep(onMade?: () => void): Promise<void>;
}

interface LoadedScript {
  readonly script: Script;
  /** Where its code is kept; undefined where it is not. */
  readonly place: string | undefined;
  readonly sourceHash: string;
  /** Bytes of the code that it was loaded with. */
  readonly known: number;
}

/** In bytes of hexadecimal text. */
const hashLength = 40;
/** By so many times the code that is kept has to be surpassed to be replaced. */
const growth = 1.05;

/** @param directory tells where the code is kept, of this version of Node with these flags of V8; asked for each script */
export function createScriptLoader(directory: () => string | undefined): ScriptLoader {
  const modules = new Map<string, { exports: unknown }>();
  const scripts: LoadedScript[] = [];

  const load = (file: string): unknown => {
    const known = modules.get(file);
    if (known !== undefined) return known.exports;
    const module = { exports: {} };
    modules.set(file, module);
    const require = createRequire(file);
    const requireBeside = (name: string): unknown => (name.startsWith("./") ? load(require.resolve(name)) : require(name));
    const loaded = compile(file, directory());
    scripts.push(loaded);
    const run = loaded.script.runInThisContext() as (...given: readonly unknown[]) => void;
    run(module.exports, requireBeside, module, file, dirname(file));
    return module.exports;
  };

  return {
    load,
    keep: async (onMade = () => undefined) => {
      const writings: (() => Promise<void>)[] = [];
      for (const { script, place, sourceHash, known } of scripts) {
        if (place === undefined) continue;
        const code = script.createCachedData();
        if (code.length > known * growth) writings.push(() => write(place, sourceHash, code));
        // Others have their turns.
        await new Promise((resolve) => setImmediate(resolve));
      }
      onMade();
      for (const writeOne of writings) await writeOne();
    },
  };
}

function compile(file: string, directory: string | undefined): LoadedScript {
  const bytes = readFileSync(file);
  const sourceHash = hash("sha1", bytes);
  // V8 keeps it as long as the script is there, a text of bytes in half the memory.
  const source = bytes.toString(isAscii(bytes) ? "latin1" : "utf8");
  const wrapped = `(function (exports, require, module, __filename, __dirname) { ${source}\n})`;
  const place = directory && join(directory, `${basename(file)}.code`);
  const cachedData = place === undefined ? undefined : read(place, sourceHash);
  const script = new Script(wrapped, { filename: file, ...(cachedData && { cachedData }) });
  const known = cachedData === undefined || script.cachedDataRejected === true ? 0 : cachedData.length;
  return { script, place, sourceHash, known };
}

/** V8 itself compares the length of a source, and nothing of the code: both are sealed here. */
function read(place: string, sourceHash: string): Buffer | undefined {
  try {
    if (!statSync(place).isFile()) return undefined;
    const kept = readFileSync(place);
    const code = kept.subarray(2 * hashLength);
    const isWhole = kept.toString("latin1", 0, 2 * hashLength) === `${sourceHash}${hash("sha1", code)}`;
    return isWhole ? code : undefined;
  } catch {
    return undefined;
  }
}

/** What can't be kept makes the next start take longer, no more. */
async function write(place: string, sourceHash: string, code: Buffer): Promise<void> {
  const draft = `${place}.new`;
  try {
    await writeFile(draft, Buffer.concat([Buffer.from(`${sourceHash}${hash("sha1", code)}`), code]), { mode: 0o600 });
    await rename(draft, place);
  } catch {
    await rm(draft, { force: true }).catch(() => undefined);
  }
}
