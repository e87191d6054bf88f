import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { renderRulesDoc, rulesDocFile } from "../../scripts/generate-rules-doc.ts";

test("docs/netfilter-rules.md shows the rules as they are made now; node scripts/generate-rules-doc.ts writes it anew", async () => {
  assert.equal(await readFile(rulesDocFile, "utf8"), renderRulesDoc());
});
