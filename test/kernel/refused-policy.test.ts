// A stored policy that the kernel refuses, as after a change of kernels, does not leave the host without the others.
import assert from "node:assert/strict";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { banPath } from "../support/api.ts";
import { withDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import { type Backend, families, flush, forBackends, program } from "../support/kernel.ts";
import { createScene } from "../support/scene.ts";

const [refusedPort, port, other] = [4999, 4900, 4901];
const { source, subject } = families[0] ?? assert.fail("there are families");

/** Programs that refuse, while `flag` exists, whatever names the port, as iptables does. */
async function stubbornPrograms(directory: string, backend: Backend): Promise<{ path: string; flag: string }> {
  const [path, flag] = [join(directory, "bin"), join(directory, "refuses")];
  await mkdir(path);
  for (const { family } of families) {
    const name = program(backend, family, "-restore");
    const script = `#!/bin/sh
input=$(cat)
if [ -e ${flag} ] && printf '%s' "$input" | grep -q ${refusedPort}; then
  echo '${name}: line 3 failed' >&2
  exit 1
fi
printf '%s\\n' "$input" | /usr/sbin/${name} "$@"
`;
    await writeFile(join(path, name), script);
    await chmod(join(path, name), 0o755);
  }
  return { path: `${path}:${process.env["PATH"]}`, flag };
}

forBackends((backend) => {
  describe("a stored policy that the kernel refuses", () => {
    test("leaves the other policies and all bans in the kernel after a flush, and comes back when it is taken", () =>
      withDirectory(async (directory) => {
        const { path, flag } = await stubbornPrograms(directory, backend);
        await using scene = await createScene({ backend, ports: [port, other], env: { PATH: path } });
        const { network, traffic, service, api } = scene;
        const stateOf = async (name: string) => (await api.policies()).find((policy) => policy.name === name)?.enforcement;
        // These programs read to the end, and are waited for; on a busy host, whoever writes is answered with 202 then.
        for (const [name, on] of [["bad", refusedPort] as const, ["good", port] as const]) {
          await service.request("PUT", `/v1/policies/${name}`, { ports: [on], maxConnections: 1 });
          await eventually(`${name} is enforced`, async () => (await stateOf(name))?.state === "enforced");
        }
        await api.putBan(subject(9));

        await writeFile(flag, "");
        for (const { family } of families) await flush(network, backend, family);
        // Before that it can be pending because other tools hold the lock.
        await eventually("the flush is healed, but for what is refused", async () => {
          const bad = await stateOf("bad");
          return bad?.state === "pending" && /line 3 failed/.test(bad.message ?? "");
        });
        assert.equal((await stateOf("good"))?.state, "enforced");
        await traffic.hold(source(1), port);
        assert.equal(await traffic.knock(source(1), port), "refused");
        assert.equal(await traffic.knock(source(9), other), "refused");
        const ready = await service.request("GET", "/readyz");
        assert.equal(ready.status, 503);
        assert.match(JSON.stringify(ready.body), /the kernel refuses the policy bad/);
        // One that waits behind a look at what is refused, on a busy host, is answered with 202 and is in the kernel a little later.
        let banned = 10;
        await eventually("a ban is in the kernel with its answer", async () => {
          banned += 1;
          return (await service.request("PUT", banPath(subject(banned)), {})).status === 201;
        });
        assert.equal(await traffic.knock(source(banned), other), "refused");

        await rm(flag);
        await eventually("it is taken", async () => (await service.request("GET", "/readyz")).status === 200);
        assert.equal((await stateOf("bad"))?.state, "enforced");
      }));
  });
});
