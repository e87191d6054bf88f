// A dry run changes nothing: no byte of the database, no rule, no list, no set; whatever it is a dry run of.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import {
  batchOfBans,
  deleteBan,
  deletePolicy,
  patchPolicy,
  postBan,
  postPolicy,
  putBan,
  putPolicy,
  sendWrite,
  type Write,
  withQuery,
} from "../support/foresight.ts";
import { families, forSetups, program } from "../support/kernel.ts";
import type { Scene } from "../support/scene.ts";
import { shareScene } from "../support/shared-scenes.ts";

const [web, watched] = [7100, 7101];
const wide = ["10.9.70.0/24", "2001:db8:9:70::/64"] as const;

/** Writes that would change something, of every kind. */
const changes = (withNetworks: boolean): readonly Write[] => [
  putPolicy("fresh", { ports: [7102], maxConnections: 2, ban: { seconds: 60 } }),
  postPolicy("fresh", { ports: [7102], maxConnections: 2, exempt: ["10.0.0.0/8"], ban: { seconds: 99, scope: "ports" } }),
  putPolicy("web", { ports: [web, 7103], maxConnections: 9, rejectWith: "drop", ban: { seconds: 77 } }),
  patchPolicy("web", { maxConnections: 3 }),
  patchPolicy("web", { mode: "off" }),
  patchPolicy("watched", { mode: "enforce" }),
  deletePolicy("web"),
  withQuery(patchPolicy("web", { maxConnections: 4 }), { confirmWithin: "10" }),
  withQuery(deletePolicy("watched"), { confirmWithin: "10", allowLockout: "true" }),
  ...families.flatMap(({ source, subject }) => [
    putBan(source(50), { ttlSeconds: 600 }),
    postBan(source(51), { reason: "scanner" }),
    putBan(source(1), { ttlSeconds: 30, reason: "again" }),
    deleteBan(source(1)),
    deleteBan(subject(3)),
    withQuery(deleteBan(subject(3)), { graceSeconds: "600" }),
    withQuery(putBan(source(52)), { allowLockout: "true" }),
    batchOfBans([{ address: source(53) }, { address: source(54), ttlSeconds: 60 }], [source(1), source(2), subject(3)]),
  ]),
  ...(withNetworks ? wide.flatMap((address) => [putBan(address), postBan(address, { ttlSeconds: 60 })]) : []),
];

/** Writes that are refused. */
const refused: readonly (readonly [Write, number])[] = [
  [postPolicy("web", { ports: [web], maxConnections: 2 }), 409],
  [patchPolicy("nobody", { maxConnections: 2 }), 404],
  [putPolicy("web", { ports: [], maxConnections: 2 }), 400],
  [putBan("192.0.2.1"), 409],
  [putBan("10.9.250.1"), 409],
  [deleteBan("10.9.9.99"), 404],
  [batchOfBans([{ address: "10.9.0.60" }, { address: "192.0.2.1" }]), 409],
];

/** Every file of the state directory, byte for byte. */
function filesOf({ service }: Scene): Readonly<Record<string, string>> {
  const names = readdirSync(service.stateDirectory).sort();
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(service.stateDirectory, name)).toString("latin1")]));
}

forSetups((setup) => {
  const { backend, withoutIpset } = setup;
  const scene = shareScene({ ...setup, ports: [web, watched] });

  /** Rules with their handles but without counters, lists with their stamps, sets but for the time that runs. */
  const kernel = async (): Promise<Readonly<Record<string, string>>> => {
    const read = async (command: string): Promise<string> => scene().network.exec("host", "sh", ["-c", command]);
    const saved = (family: 4 | 6) => read(`${program(backend, family, "-save")} | sed -e '/^#/d' -e 's/ \\[.*\\]$//'`);
    const [ipv4, ipv6, lists, sets, handles] = await Promise.all([
      ...([4, 6] as const).map(saved),
      read("cd /proc/net/xt_recent && grep . *"),
      withoutIpset ? "" : read("ipset save | sed 's/timeout [0-9]*$//' | sort"),
      backend === "nft" ? read("nft -a list ruleset | sed -E 's/(counter )?packets [0-9]+ bytes [0-9]+//'") : "",
    ]);
    return { ipv4: ipv4 ?? "", ipv6: ipv6 ?? "", lists: lists ?? "", sets: sets ?? "", handles: handles ?? "" };
  };

  /** Policies in use with bans that the kernel made, bans of operators, a grace. */
  const furnish = async ({ api, traffic, service }: Scene): Promise<void> => {
    await api.putPolicy("web", { ports: [web], maxConnections: 1, ban: { seconds: 600 } });
    await api.putPolicy("watched", { ports: [watched], maxConnections: 1, ban: { seconds: 600 }, mode: "observe" });
    for (const { source, subject } of families) {
      await api.batch({ put: [{ address: source(1) }, { address: source(2), ttlSeconds: 600 }, { address: source(4) }] });
      await api.deleteBan(source(4), 600);
      await traffic.exceed([source(3)], web, 1);
      await traffic.exceed([source(3)], watched, 1);
      await eventually("the kernel's ban is listed", () => api.ban(subject(3)));
    }
    if (!withoutIpset) await api.putBan("10.9.71.0/24", { ttlSeconds: 600 });
    const isStill = async (): Promise<boolean> => {
      const [asked, earlier] = [Date.now(), JSON.stringify(filesOf(scene()))];
      await eventually("some passes are over", () => Date.now() - asked > 700, { every: 100 });
      return JSON.stringify(filesOf(scene())) === earlier && (await service.request("GET", "/readyz")).status === 200;
    };
    await eventually("all that happened is stored", isStill, { within: 20_000 });
  };

  test("a dry run leaves the database, the rules, the lists and the sets as they are", async () => {
    await furnish(scene());
    const [files, before] = [filesOf(scene()), await kernel()];
    assert.ok(Object.keys(files).some((name) => name.endsWith("-wal")));
    for (const [name, text] of Object.entries(before)) {
      const empty = (name === "sets" && withoutIpset) || (name === "handles" && backend === "legacy");
      assert.equal(text === "", empty, name);
    }
    for (const write of changes(!withoutIpset)) {
      const what = `${write.method} ${write.path} ${JSON.stringify(write.body)}`;
      const { status, headers, body } = await sendWrite(scene().service, withQuery(write, { dryRun: "true" }));
      assert.deepEqual([status, headers["connlimitd-changed"]], [200, "false"], `${what}: ${JSON.stringify(body)}`);
      assert.equal((body as { changed: boolean }).changed, true, what);
    }
    for (const [write, expected] of refused) {
      const { status, body } = await sendWrite(scene().service, withQuery(write, { dryRun: "true" }));
      assert.equal(status, expected, `${write.method} ${write.path}: ${JSON.stringify(body)}`);
    }
    assert.deepEqual(await kernel(), before);
    assert.deepEqual(filesOf(scene()), files);
    assert.deepEqual((await scene().service.request("GET", "/v1/confirmations")).body, { items: [], nextCursor: null });
  });
});
