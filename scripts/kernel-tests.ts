// Runs files of tests in their order, some at a time: node scripts/kernel-tests.ts AT-ONCE FAILED FILE... writes the names of those with a failed test to FAILED.
import { appendFileSync } from "node:fs";
import { run } from "node:test";
import { spec } from "node:test/reporters";

const [atOnce = "1", failed = "/dev/null", ...files] = process.argv.slice(2);
if (files.length === 0) throw new TypeError("there are no files to run");
const seen = new Set<string>();
const events = run({ files, concurrency: Number(atOnce) });
events.on("test:fail", ({ name, file = name }) => {
  process.exitCode = 1;
  if (!seen.has(file)) appendFileSync(failed, `${file}\n`);
  seen.add(file);
});
events.compose(new spec()).pipe(process.stdout);
