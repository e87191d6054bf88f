import assert from "node:assert/strict";
import { test } from "node:test";
import { createEndsMemory } from "../../../src/netfilter/bans/written-ends.ts";

test("an end is known from its writing until its entry is taken out", () => {
  const memory = createEndsMemory();
  memory.note(
    ["add cld4-operator 192.0.2.1 timeout 60"],
    [{ name: "cld4-operator", added: [{ address: "192.0.2.1", expiresAt: 60_000 }] }],
    0,
  );
  assert.equal(memory.ends.get("cld4-operator")?.get("192.0.2.1"), 60_000);
  memory.note(["del cld4-operator 192.0.2.1"], [], 1_000);
  assert.equal(memory.ends.get("cld4-operator")?.has("192.0.2.1"), false);
});

test("ends that are over do not pile up, and those that are not stay", () => {
  const memory = createEndsMemory();
  memory.note([], [{ name: "cld4-operator", added: [{ address: "192.0.2.1", expiresAt: null }] }], 0);
  for (let second = 0; second < 50_000; second += 1) {
    memory.note(
      [],
      [{ name: "cld4-operator", added: [{ address: `${second}`, expiresAt: second * 1_000 + 60_000 }] }],
      second * 1_000,
    );
  }
  const size = memory.ends.get("cld4-operator")?.size ?? 0;
  assert.ok(size < 2_500, `${size} ends`);
  assert.equal(memory.ends.get("cld4-operator")?.get("192.0.2.1"), null);
  assert.equal(memory.ends.get("cld4-operator")?.get("49999"), 50_059_000);
  assert.equal(memory.ends.get("cld4-operator")?.get("49950"), 50_010_000);
});
