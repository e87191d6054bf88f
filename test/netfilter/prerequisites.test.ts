import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { assertNetAdmin, PrivilegeError } from "../../src/netfilter/prerequisites.ts";

const directory = mkdtempSync(join(tmpdir(), "connlimitd-status-"));
after(() => rmSync(directory, { recursive: true }));

/** A process with these effective capabilities. */
function statusFile(effective: string): string {
  const file = join(directory, "status");
  writeFileSync(
    file,
    `Name:\tnode\nCapInh:\t0000000000000000\nCapPrm:\t000001ffffffffff\n${effective}CapBnd:\t000001ffffffffff\n`,
  );
  return file;
}

describe("a process may change netfilter", () => {
  test("with all capabilities, or with CAP_NET_ADMIN alone", () => {
    for (const mask of ["000001ffffffffff", "0000000000001000"])
      assert.doesNotThrow(() => assertNetAdmin(statusFile(`CapEff:\t${mask}\n`)));
  });

  test("and not without it, whatever it is permitted to take up; the message says how to get it", () => {
    for (const effective of ["CapEff:\t0000000000000000\n", "CapEff:\t000001ffffffefff\n", ""]) {
      assert.throws(
        () => assertNetAdmin(statusFile(effective)),
        (error: Error) => error instanceof PrivilegeError && /CAP_NET_ADMIN is missing: run as root/.test(error.message),
      );
    }
  });
});
