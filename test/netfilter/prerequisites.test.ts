import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { assertCapabilities, PrivilegeError } from "../../src/netfilter/prerequisites.ts";

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
  test("with all capabilities, or with CAP_NET_ADMIN and CAP_NET_RAW alone", () => {
    for (const mask of ["000001ffffffffff", "0000000000003000"])
      assert.doesNotThrow(() => assertCapabilities(statusFile(`CapEff:\t${mask}\n`)));
  });

  test("and not without them, whatever it is permitted to take up; the message names what is missing and how to get it", () => {
    const cases = {
      "CapEff:\t000001ffffffefff\n": "CAP_NET_ADMIN",
      "CapEff:\t0000000000001000\n": "CAP_NET_RAW",
      "CapEff:\t0000000000000000\n": "CAP_NET_ADMIN and CAP_NET_RAW",
      "": "CAP_NET_ADMIN and CAP_NET_RAW",
    };
    for (const [effective, missing] of Object.entries(cases)) {
      assert.throws(() => assertCapabilities(statusFile(effective)), {
        name: PrivilegeError.name,
        message: `the privilege ${missing} is missing: run as root, or with CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW, or docker run --cap-add NET_ADMIN --cap-add NET_RAW`,
      });
    }
  });
});
