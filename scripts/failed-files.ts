// A reporter for node --test: the files with a failed test, a line each.
import type { TestEvent } from "node:test/reporters";

// biome-ignore lint/style/noDefaultExport: node finds a reporter by it
export default async function* failedFiles(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const seen = new Set<string>();
  for await (const event of source) {
    if (event.type !== "test:fail" || event.data.file === undefined || seen.has(event.data.file)) continue;
    seen.add(event.data.file);
    yield `${event.data.file}\n`;
  }
}
