import assert from "node:assert/strict";
import { test } from "node:test";
import { lockNamespace, NamespaceInUseError } from "../../src/netfilter/namespace-lock.ts";

test("only one process at a time drives the rules of a network namespace", async () => {
  const unlock = await lockNamespace();
  await assert.rejects(lockNamespace(), NamespaceInUseError);
  await unlock();
  const again = await lockNamespace();
  await again();
});
