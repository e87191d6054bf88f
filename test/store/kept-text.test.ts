import assert from "node:assert/strict";
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createKeptText } from "../../src/store/kept-text.ts";
import { withDirectory } from "../support/directories.ts";

test("a text is there for whoever reads it later, in a file of its own that nobody else may read", () =>
  withDirectory(async (stateDirectory) => {
    const text = createKeptText({ stateDirectory }, "rules");
    assert.equal(text.read(), undefined);
    for (const words of ["one\n", "another"]) {
      await text.write(words);
      assert.equal(createKeptText({ stateDirectory }, "rules").read(), words);
    }
    assert.deepEqual(readdirSync(stateDirectory), ["rules"]);
    assert.equal(statSync(join(stateDirectory, "rules")).mode & 0o777, 0o600);
  }));

test("what can't be read is no text, and what can't be written leaves the one before", () =>
  withDirectory(async (stateDirectory) => {
    const text = createKeptText({ stateDirectory }, "rules");
    await text.write("one");
    const other = createKeptText({ stateDirectory }, "directory");
    mkdirSync(join(stateDirectory, "directory"));
    await assert.rejects(other.write("another"), /EISDIR/);
    assert.equal(other.read(), undefined);
    assert.deepEqual(readdirSync(stateDirectory).toSorted(), ["directory", "rules"]);
    const gone = createKeptText({ stateDirectory: join(stateDirectory, "gone") }, "rules");
    await assert.rejects(gone.write("another"), /ENOENT/);
  }));
