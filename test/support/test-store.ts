import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Store } from "../../src/domain/ports.ts";
import { openStore } from "../../src/store/store.ts";

/** A directory that goes with the test. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "connlimitd-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A real store that goes with the test. */
export function createTestStore(t: TestContext, stateDirectory: string = temporaryDirectory(t)): Store {
  const store = openStore({ stateDirectory });
  t.after(() => store.close());
  return store;
}
