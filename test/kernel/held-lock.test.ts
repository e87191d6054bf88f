// Another tool holds the lock of the legacy backend: what the kernel does not have yet is never said to be in it.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { PolicyResource } from "../support/api.ts";
import { withDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import { families, save } from "../support/kernel.ts";
import { createScene } from "../support/scene.ts";

test("while another tool holds the lock a policy is stored and pending, and the policy follows by itself", async () => {
  await withDirectory(async (directory) => {
    const lock = join(directory, "xtables.lock");
    await using scene = await createScene({ backend: "legacy", ports: [4900], env: { XTABLES_LOCKFILE: lock } });
    const { network, service, api, traffic } = scene;
    const holder = network.spawn("host", "flock", ["--no-fork", lock, "sleep", "60"], { stdio: "ignore" });
    await eventually("the lock is held", async () => (await network.tryExec("host", "flock", ["-n", lock, "true"])).code !== 0);

    const answer = await service.request("PUT", "/v1/policies/waiting", { ports: [4900], maxConnections: 1 });
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    const pending = answer.body as PolicyResource;
    assert.equal(pending.enforcement.state, "pending");
    assert.match(pending.enforcement.message ?? "", /lock/);
    assert.doesNotMatch(await save(network, "legacy", 4), /4900/);
    assert.equal((await service.request("GET", "/readyz")).status, 503);

    holder.kill("SIGKILL");
    await eventually("the policy is enforced", async () => (await api.policies())[0]?.enforcement.state === "enforced");
    for (const { source } of families) {
      await traffic.hold(source(1), 4900);
      assert.equal(await traffic.knock(source(1), 4900), "refused");
    }
    assert.equal((await service.request("GET", "/readyz")).status, 200);
  });
});
