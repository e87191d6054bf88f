// The service in the bounds of its unit and of its container, and what it tells the service manager there.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Api, apiOf } from "../support/api.ts";
import { confined } from "../support/confined.ts";
import { createDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import { forBackends } from "../support/kernel.ts";
import { createNetwork, type Network } from "../support/namespaces.ts";
import { type NotifySocket, openNotifySocket } from "../support/notify-socket.ts";
import { root, type Service, startService } from "../support/service.ts";
import { startTraffic, type Traffic } from "../support/traffic.ts";

/** The bounding set of the unit, in setpriv's words. */
const capabilities = (
  /^CapabilityBoundingSet=(.*)$/m.exec(readFileSync(join(root, "deploy/connlimitd.service"), "utf8"))?.[1] ?? ""
)
  .toLowerCase()
  .split(" ")
  .map((name) => name.replace(/^cap_/, ""));

forBackends((backend) => {
  let network: Network;
  let traffic: Traffic;
  let service: Service;
  let api: Api;
  let socket: NotifySocket;
  const told = (assignment: string) => socket.messages().filter((message) => message.includes(assignment));
  const cleanUps: (() => unknown)[] = [];

  before(async () => {
    const directory = await createDirectory();
    cleanUps.push(() => directory.remove());
    socket = await openNotifySocket(directory.path);
    cleanUps.push(() => socket.close());
    network = await createNetwork();
    cleanUps.push(() => network.dispose());
    traffic = await startTraffic(network, 4610);
    service = await startService({
      network,
      backend,
      within: confined(capabilities),
      env: { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: "400000" },
    });
    cleanUps.push(() => service.dispose());
    api = apiOf(service);
  });
  after(async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
  });

  test("nothing but the unit's two capabilities is left, and the root is read-only", async () => {
    const pid = service.pid();
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    assert.match(status, /^CapBnd:\t0{12}3000$/m);
    assert.match(status, /^CapEff:\t0{12}3000$/m);
    assert.match(status, /^NoNewPrivs:\t1$/m);
    const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8")
      .split("\n")
      .map((line) => line.split(" "));
    for (const path of ["/", "/run", "/sys", "/proc/sys"])
      assert.match(mounts.findLast((fields) => fields[4] === path)?.[5] ?? "", /^ro\b/, path);
  });

  test("policies limit and ban, bans refuse, and the lists are read and written", async () => {
    await api.putPolicy("web", { ports: [4610], maxConnections: 1, ban: { seconds: 60 } });
    await api.putBan("10.9.0.1", { reason: "scanner", ttlSeconds: 600 });
    await api.putBan("10.9.1.0/24");
    assert.equal(await traffic.knock("10.9.0.1", 4610), "refused");
    assert.equal(await traffic.knock("10.9.1.7", 4610), "refused");
    await traffic.hold("10.9.0.2", 4610);
    assert.equal(await traffic.knock("10.9.0.2", 4610), "refused");
    await eventually("the kernel's ban is in the list", async () => (await api.ban("10.9.0.2"))?.causes[0]?.policy === "web");
    await api.deleteBan("10.9.0.1");
    assert.equal(await traffic.knock("10.9.0.1", 4610), "connected");
    assert.equal((await api.connections({ port: "4610" })).items[0]?.source, "10.9.0.2");
    assert.ok((await api.recentLists()).some(({ own }) => own));
    // Every change to a legacy table makes its rules count anew.
    const expected = backend === "legacy" ? ["counts-forgotten"] : [];
    assert.deepEqual(
      (await api.status()).warnings.map(({ code }) => code),
      expected,
    );
  });

  test("systemd hears that it is ready, twice in each watchdog interval that it lives, and that it stops", async () => {
    await eventually("three signs of life", () => told("WATCHDOG=1").length >= 3);
    assert.deepEqual(socket.messages()[0], ["READY=1", "STATUS=the kernel is in step"]);
    assert.equal(told("READY=1").length, 1);
    assert.equal(await service.stop(), 0);
    assert.deepEqual(socket.messages().at(-1), ["STOPPING=1", "STATUS=stopping; the rules stay in the kernel"]);
  });
});
