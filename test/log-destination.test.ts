import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createLogDestination } from "../src/log-destination.ts";
import { temporaryDirectory } from "./support/test-store.ts";

test("lines reach the file as they are", (t) => {
  const file = join(temporaryDirectory(t), "log");
  const descriptor = openSync(file, "w");
  const { write } = createLogDestination(descriptor);
  for (const line of ["one\n", `é${"x".repeat(200_000)}\n`]) write(line);
  closeSync(descriptor);
  assert.equal(readFileSync(file, "utf8"), `one\né${"x".repeat(200_000)}\n`);
});

test("a line that can't be written is lost, and nothing else happens", () => {
  const full = openSync("/dev/full", "w");
  createLogDestination(full).write("lost\n");
  closeSync(full);
  createLogDestination(full).write("lost as well\n");
});
