/**
 * Exits 0 when this is the pinned Node and node_modules holds what package-lock.json names; otherwise prints why not and exits 1.
 * Contents are compared, not times: a fresh clone has arbitrary ones. With `--production` development packages may be absent.
 */
import { existsSync, readFileSync } from "node:fs";

interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
}

interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

function readLock(path: string): Lock {
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : { packages: {} };
}

function whyStale(production: boolean): string | undefined {
  const wanted = readLock("package-lock.json").packages;
  const pinnedNode = wanted[`node_modules/node-${process.platform}-${process.arch}`]?.version;
  if (pinnedNode === undefined && !process.version.startsWith("v24.")) return `this is Node ${process.version}, and 24 is needed`;
  if (pinnedNode !== undefined && `v${pinnedNode}` !== process.version) {
    return `this is Node ${process.version}, and v${pinnedNode} is pinned`;
  }
  // Written by npm at the end of an installation, so an interrupted one has none.
  const installed = readLock("node_modules/.package-lock.json").packages;
  for (const [path, entry] of Object.entries(wanted)) {
    const there = installed[path];
    const dispensable = entry.optional || ((entry.dev || entry.devOptional) && production);
    if (path === "" || (there === undefined && dispensable)) continue;
    if (there?.version !== entry.version || there?.integrity !== entry.integrity || !existsSync(path)) {
      return `${path} ${entry.version} is not installed`;
    }
  }
  return;
}

const reason = whyStale(process.argv.includes("--production"));
if (reason !== undefined) {
  process.stdout.write(`${reason}\n`);
  process.exitCode = 1;
}
