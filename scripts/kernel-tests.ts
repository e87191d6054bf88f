// Runs files of tests, AT-ONCE at a time, the longest first: node scripts/kernel-tests.ts AT-ONCE FAILED FILE...
// Some run in one process.
// Writes the names of those with a failed test to FAILED. Exits with 3 when tests failed, and with another code when they could not all be run.
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { pathToFileURL } from "node:url";

const [testsFailed, interrupted] = [3, 130];
const suffix = ".test.ts";

/**
 * Files by their name, in the order in which they run: those that use the same scenes, of which those come last that leave behind what
 * can't be removed; and those that are over so soon that their process is half of what they take.
 */
const together: readonly (readonly string[])[] = [
  ["attribution", "operator-bans", "ban-time"],
  ["looking", "forgotten-counts", "dry-run", "grace"],
  ["healing", "vandalism"],
  ["limits", "exempt", "sever", "edits", "impact"],
  ["persistence", "lifecycle"],
  ["lockout-random", "lockout", "ssh-sessions"],
  ["door", "audit", "confined", "refused-policy"],
  ["crashes", "faults-at-start-and-stop"],
  ["plan", "quiet"],
  ["recent-lifetime", "recent-entries", "refusal", "transactions", "connlimit-counts"],
];

/** Those that take longest, also those that mostly wait: so that none of them is left when all others are over. */
const longest = [
  ...["reboot", "attribution", "looking", "limits", "door", "confirmations", "plan", "recent-lifetime"],
  ...["healing", "persistence", "faults", "lockout-random", "crashes", "foreign-rules", "model"],
];

const [atOnce = "1", failed = "/dev/null", ...files] = process.argv.slice(2);
if (files.length === 0) throw new TypeError("there are no files to run");
const seen = new Set<string>();
/** The files that each process imports, by the file that imports them. */
const imported = new Map<string, readonly string[]>();
const directory = mkdtempSync(join(tmpdir(), "connlimitd-groups-"));
process.on("exit", () => rmSync(directory, { recursive: true }));
/**
 * Where several share the processors, they and the services that they start are interpreted: these live for seconds, and V8's compilers
 * take an eighth of the time for code that hardly gets any faster within it. Alone, services run as `npm start` runs them.
 */
const interpreted = Number(atOnce) > 1 ? ["--no-sparkplug", "--no-maglev", "--no-turbofan"] : [];
if (interpreted.length > 0) {
  process.env["CONNLIMITD_TEST_COMPILATION"] = interpreted.join(" ");
  const cache = process.env["NODE_COMPILE_CACHE"];
  // What is kept there belongs to the flags of V8.
  if (cache !== undefined) process.env["NODE_COMPILE_CACHE"] = `${cache}-interpreted`;
}
/** Whoever is told to end takes back what it has made. */
const ending = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => ending.abort());
process.on("exit", () => {
  if (ending.signal.aborted) process.exitCode = interrupted;
});
const events = run({ files: grouped(files), concurrency: Number(atOnce), execArgv: interpreted, signal: ending.signal });
events.on("test:fail", ({ name, file = name, details }) => {
  process.exitCode = testsFailed;
  // Those that failed are told of by themselves.
  if ("failureType" in details.error && details.error.failureType === "subtestsFailed") return;
  // A process that comes to its end with a failed test may have had others before it.
  for (const each of groupOf(file)) {
    if (!seen.has(each)) appendFileSync(failed, `${each}\n`);
    seen.add(each);
  }
});
events.compose(new spec()).pipe(process.stdout);

/** The file, and those that ran in the same process; those alone where the file is the one that imports them. */
function groupOf(file: string): readonly string[] {
  const group = imported.get(resolve(file));
  if (group !== undefined) return group;
  const names = together.find((some) => some.includes(basename(file, suffix)));
  return names === undefined ? [file] : files.filter((one) => names.includes(basename(one, suffix)));
}

/** The files, with one that imports them in the place of those that run together. */
function grouped(all: readonly string[]): string[] {
  const rank = (file: string): number => longest.toReversed().indexOf(basename(file, suffix));
  const entries = all
    .toSorted((a, b) => rank(b) - rank(a))
    .map((file) => {
      const order = together.flat();
      const group = groupOf(file).toSorted((a, b) => order.indexOf(basename(a, suffix)) - order.indexOf(basename(b, suffix)));
      return group.length > 1 ? importing(group) : file;
    });
  return [...new Set(entries)];
}

function importing(group: readonly string[]): string {
  const entry = join(directory, `${group.map((file) => basename(file, suffix)).join("-")}.test.mjs`);
  imported.set(entry, group);
  writeFileSync(entry, group.map((file) => `import ${JSON.stringify(pathToFileURL(resolve(file)).href)};\n`).join(""));
  return entry;
}
