// SSH sessions are seen whatever the kernel's table of connections says: it tracks while some rule asks for it, and forgets late.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { deleteBan, deletePolicy, foresee, mustWrite, putBan, putPolicy, sendWrite, withQuery } from "../support/foresight.ts";
import { families, forBackends } from "../support/kernel.ts";
import { assertLockout, createGuardedScene, type GuardedScene, sshPort, web } from "./guarded-scene.ts";

const ssh = /which has an SSH connection to this host/;

/** Says nothing until it is spoken to, and from then on again and again, as a shell in which a log is followed. */
const talker = `
  require("node:net").createServer((socket) => {
    const timers = [];
    socket.on("data", () => timers.push(setInterval(() => socket.write("more\\n"), 50)));
    socket.on("error", () => {}).on("close", () => timers.forEach(clearInterval));
  }).listen(${sshPort}, "::");
`;

forBackends((backend) => {
  let scene: GuardedScene;
  before(async () => {
    scene = await createGuardedScene(backend, [web]);
    scene.network.spawn("host", process.execPath, ["--eval", talker], { stdio: ["ignore", "ignore", "inherit"] });
    await eventually("the port for SSH is served", async () => (await scene.traffic.knock("10.9.0.1", sshPort)) === "connected");
  });
  after(() => scene?.dispose());

  const table = (): Promise<string> => scene.network.exec("host", "cat", ["/proc/net/nf_conntrack"]);
  const assertSeen = async (from: string, connection: number): Promise<void> => {
    await assertLockout(scene.service, putBan(from), ssh);
    assert.equal(await scene.traffic.send(connection), "echoed");
  };

  test("a session that is older than connection tracking is seen, whether it is silent or the host speaks first", async () => {
    const { traffic, service } = scene;
    const held = await Promise.all(
      families.flatMap(({ source }) =>
        [1, 2].map(async (n) => ({ n, from: source(n), connection: (await traffic.hold(source(n), sshPort))[0] ?? -1 })),
      ),
    );
    const talking = held.filter(({ n }) => n === 2);
    for (const { connection } of talking) assert.equal(await traffic.send(connection), "echoed");
    await mustWrite(service, putPolicy("web", { ports: [web], maxConnections: 10 }));
    for (const { source } of families) await traffic.hold(source(3), web);
    await eventually("the kernel takes the host for the one who opened it", async () => {
      const text = await table();
      return text.includes(`sport=${sshPort}`);
    });
    for (const { from, connection } of held) {
      const { result } = await foresee<{ severed: number }>(service, withQuery(putBan(from), { allowLockout: "true" }));
      assert.equal(result.severed, 1, from);
      await assertSeen(from, connection);
    }
    await traffic.close(held.map(({ connection }) => connection));
  });

  test("a session that began after the last limit was removed is seen, and one that has ended since is not", async () => {
    const { traffic, service } = scene;
    await mustWrite(service, putPolicy("web", { ports: [web], maxConnections: 10 }));
    const earlier = await Promise.all(families.map(({ source }) => traffic.hold(source(4), sshPort)));
    await mustWrite(service, deletePolicy("web"));
    assert.notEqual(await table(), "");
    await traffic.close(earlier.flat());
    for (const { source } of families) {
      const [connection = -1] = await traffic.hold(source(5), sshPort);
      await assertSeen(source(5), connection);
      await eventually("who has gone can be banned", async () => (await sendWrite(service, putBan(source(4)))).status === 201);
      await mustWrite(service, deleteBan(source(4)));
    }
  });

  test("a session that begins or ends between two writes is seen as it is by the second", async () => {
    const { traffic, service } = scene;
    for (const { source } of families) {
      const ban = async (n: number) => mustWrite(service, putBan(source(n)));
      // Each look at the sockets serves until somebody connects.
      await ban(20);
      const [connection = -1] = await traffic.hold(source(21), sshPort);
      await assertSeen(source(21), connection);
      await ban(22);
      await assertSeen(source(21), connection);
      await traffic.close([connection]);
      await eventually("who has gone can be banned", async () => (await sendWrite(service, putBan(source(21)))).status === 201);
      for (const n of [20, 21, 22]) await mustWrite(service, deleteBan(source(n)));
    }
  });
});
