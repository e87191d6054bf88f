// A start that can't be, and a stop while nothing answers: clear words, and the rules stay.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { families, save } from "../support/kernel.ts";
import { makeReadOnly } from "../support/small-disk.ts";
import { createFaultScene, type FaultScene } from "./faults.ts";

function saveAll({ network, backend }: FaultScene): Promise<readonly string[]> {
  return Promise.all(families.map(({ family }) => save(network, backend, family)));
}

describe("side by side", { concurrency: 3 }, () => {
  test("a damaged or read-only database is a start refused with the file and the way out, and the rules stay", async () => {
    await using scene = await createFaultScene("nft");
    const { service } = scene;
    const database = join(service.stateDirectory, "state.db");
    assert.equal(await service.stop(), 0);
    const [rules, intact] = [await saveAll(scene), readFileSync(database)];

    writeFileSync(database, Buffer.concat([intact.subarray(0, 100), Buffer.alloc(intact.length - 100, 0xa5)]));
    const damaged = new RegExp(`exit code 1\\b.*${database}: the state database is damaged .* restore it from a backup`, "s");
    await assert.rejects(service.restart(), damaged);
    assert.deepEqual(await saveAll(scene), rules);

    writeFileSync(database, intact);
    const makeWritable = await makeReadOnly(service.stateDirectory);
    const readOnly = new RegExp(`exit code 78\\b.*CONNLIMITD_STATE_DIR: .*${database}: .*can't be opened.*check`, "s");
    await assert.rejects(service.restart(), readOnly);
    assert.deepEqual(await saveAll(scene), rules);

    await makeWritable();
    await service.restart();
    assert.deepEqual(await saveAll(scene), rules);
  });

  for (const backend of ["nft", "legacy"] as const) {
    test(`on ${backend}, a stop while iptables hangs takes its bounded time, and the rules stay`, async () => {
      await using scene = await createFaultScene(backend);
      const { service, iptables } = scene;
      const rules = await saveAll(scene);
      iptables.setFault("hangs");
      const write = service.request("PUT", "/v1/policies/hanging", { ports: [4711], maxConnections: 1 });
      await eventually("it hangs", async () => (await service.request("GET", "/readyz")).status === 503, { within: 8000 });
      const begun = performance.now();
      assert.equal(await service.stop(), 0);
      assert.ok(performance.now() - begun < 5000, `${performance.now() - begun}`);
      assert.equal((await write).status, 202);
      assert.deepEqual(await saveAll(scene), rules);
    });
  }
});
