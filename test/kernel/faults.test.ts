// The service outlives what fails around it: it says so, keeps the rules, answers writes, and is in step soon after.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Backend } from "../support/kernel.ts";
import { createFaultScene, type Fault, type FaultScene, ipsetFaults, iptablesFaults, otherFaults, undergo } from "./faults.ts";

/** The promises in milliseconds, with room for a machine that runs other tests beside; bench/faults.ts holds to them exactly. */
const bounds = { told: 5000, written: 2000 + 1000, recovered: 2000 + 1500 } as const;

/** These are waited for before anything is written, which takes up to two seconds longer. */
const silent = ["iptables is missing", "the disk is full"];

function lifeWith(backend: Backend, faults: readonly Fault[]): void {
  describe(`on ${backend}, when`, { concurrency: 1 }, () => {
    let scene: FaultScene | undefined;
    before(async () => {
      scene = await createFaultScene(backend);
    });
    after(() => scene?.[Symbol.asyncDispose]());

    for (const fault of faults.filter(({ backends }) => backends.includes(backend))) {
      test(fault.name, async () => {
        assert.ok(scene);
        const pid = scene.service.pid();
        const outcome = await undergo(scene, fault, { silent: silent.includes(fault.name), lasting: 0 });
        const { toldAfter, reason, write, readStatus, rulesKept, recoveredAfter } = outcome;
        const text = JSON.stringify({ ...outcome, logs: scene.service.logs().slice(-2000) });
        assert.ok((toldAfter ?? 0) <= bounds.told, text);
        assert.match(reason, fault.reason);
        assert.ok(write.after <= bounds.written, text);
        assert.equal(write.answer.status, fault.status, text);
        assert.deepEqual([readStatus, rulesKept, scene.service.pid()], [200, true, pid], text);
        assert.ok(recoveredAfter <= bounds.recovered, text);
      });
    }
  });
}

describe("the service lives on, tells, keeps the rules and recovers", { concurrency: 8 }, () => {
  for (const backend of ["nft", "legacy"] as const) {
    lifeWith(backend, iptablesFaults.slice(0, 3));
    lifeWith(backend, iptablesFaults.slice(3));
  }
  lifeWith("nft", ipsetFaults.slice(0, 3));
  lifeWith("nft", [...ipsetFaults.slice(3), ...otherFaults]);
  lifeWith("legacy", otherFaults);
});
