// Runs files of tests in their order, some at a time: node scripts/kernel-tests.ts AT-ONCE FAILED FILE...
// Writes the names of those with a failed test to FAILED. Exits with 3 when tests failed, and with another code when they could not all be run.
import { appendFileSync } from "node:fs";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const testsFailed = 3;

const [atOnce = "1", failed = "/dev/null", ...files] = process.argv.slice(2);
if (files.length === 0) throw new TypeError("there are no files to run");
const seen = new Set<string>();
const events = run({ files, concurrency: Number(atOnce) });
events.on("test:fail", ({ name, file = name, details }) => {
  process.exitCode = testsFailed;
  // Those that failed are told of by themselves.
  if ("failureType" in details.error && details.error.failureType === "subtestsFailed") return;
  if (!seen.has(file)) appendFileSync(failed, `${file}\n`);
  seen.add(file);
});
events.compose(new spec()).pipe(process.stdout);
