import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isLockHeld } from "../../../src/netfilter/iptables/lock.ts";
import { withDirectory } from "../../support/directories.ts";
import { eventually } from "../../support/eventually.ts";

test("the lock is held from when another program takes it until that ends", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "xtables.lock");
    assert.equal(await isLockHeld(file), false, "there is no such file yet");
    writeFileSync(file, "");
    assert.equal(await isLockHeld(file), false);
    const holder = spawn("flock", ["--no-fork", file, "sleep", "60"], { stdio: "ignore" });
    await eventually("it is held", () => isLockHeld(file));
    assert.equal(await isLockHeld(join(directory, "another.lock")), false);
    holder.kill("SIGKILL");
    await eventually("it is free again", async () => !(await isLockHeld(file)));
  });
});
