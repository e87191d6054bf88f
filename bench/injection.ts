// 10,000 hostile strings in every field, everything that leaves the service being compared with its grammar: node bench/injection.ts [--count 10000]
import fc from "fast-check";
import { hostileString } from "../test/support/hostile-strings.ts";
import { injectedFields } from "../test/support/injected-fields.ts";
import { createInjectionScene } from "../test/support/injection-scene.ts";
import { writeFigures } from "./figures.ts";
import { readArguments } from "./measurements.ts";

const { count } = readArguments(10_000);
/** Requests after which everything is taken back, so that what is stored stays small. */
const roundLength = 500;
const unexpected = new Set<string>();
let [sent, accepted] = [0, 0];
await using scene = await createInjectionScene();
for (const field of injectedFields) {
  const before = performance.now();
  for (const text of fc.sample(hostileString, count)) {
    const { status } = await scene.send(field.request(text));
    sent += 1;
    if (status < 300) accepted += 1;
    if (status >= 500 && status !== 503 && status !== 507) unexpected.add(`${field.name}: ${status} for ${JSON.stringify(text)}`);
    if (sent % roundLength === 0) await scene.clear();
  }
  console.log(`${field.name}: ${Math.round(performance.now() - before)} ms`);
}
const faults = scene.faults();
for (const line of [...faults, ...unexpected]) console.log(line);
const figure = `${faults.length} of ${scene.compared()} commands and list writes outside the grammar; ${count} strings in each of ${injectedFields.length} fields, ${accepted} accepted, ${unexpected.size} unexpected answers`;
console.log(figure);
writeFigures("injection", [
  {
    promise:
      "10,000 hostile strings in every field: every executed argv and every byte written to a proc file or to a restore's standard input matches a strict grammar",
    figure,
  },
]);
process.exitCode = faults.length === 0 && unexpected.size === 0 ? 0 : 1;
