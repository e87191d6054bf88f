// Nothing that is not the service's own is ever touched.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { banPath } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import {
  type Backend,
  families,
  forBackendsSideBySide,
  iptables,
  listedAddresses,
  program,
  restore,
  save,
  saveForeign,
  writeList,
} from "../support/kernel.ts";
import type { Network } from "../support/namespaces.ts";
import { type Random, seededRandom } from "../support/random.ts";
import { createScene, type Scene } from "../support/scene.ts";

const edits = 200;
/** Edits that are made at the same time. */
const crowd = 20;

/** Rules of other people: in front of ours and behind, with chains, lists, comments and counters of their own. */
async function installForeignRules(network: Network, backend: Backend): Promise<void> {
  for (const { family } of families) {
    await restore(network, backend, family, [
      ":f2b-sshd - [0:0]",
      ":DOCKER-USER - [0:0]",
      "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment \"accept like 'others' do; $(true)\" -j ACCEPT",
      "-A INPUT -p tcp -m multiport --dports 22,2222 -j f2b-sshd",
      "-A INPUT -p tcp -m recent --rcheck --seconds 60 --name DEFAULT --rsource -j REJECT --reject-with tcp-reset",
      "-A INPUT -p tcp --dport 3306 -m connlimit --connlimit-above 2 -m recent --set --name DEFAULT --rsource -j REJECT",
      "-A INPUT -p udp --dport 53 -j ACCEPT",
      "-A FORWARD -j DOCKER-USER",
      "-A OUTPUT -p tcp --dport 25 -m limit --limit 5/min -j ACCEPT",
      "-A DOCKER-USER -j RETURN",
      `-A f2b-sshd -s ${family === 4 ? "198.51.100.7" : "2001:db8:ffff::7"} -j DROP`,
      "-A f2b-sshd -j RETURN",
    ]);
    // A restore takes no line breaks.
    for (const comment of ["two\nlines", 'a "text"\n\n# and\nCOMMIT\n-A INPUT -j ACCEPT\n\\'])
      await iptables(network, backend, family, "-A", "INPUT", "-m", "comment", "--comment", comment, "-p", "udp");
    for (const name of ["a\nlist", "b\n\n-j ACCEPT", "c\nCOMMITS\n"])
      await iptables(network, backend, family, "-A", "INPUT", "-m", "recent", "--rcheck", "--name", name, "-p", "udp");
    await iptables(network, backend, family, "-A", "INPUT", "-i", "x\ny", "-p", "udp", "-j", "ACCEPT");
    await iptables(network, backend, family, "-A", "INPUT", "-m", "string", "--algo", "bm", "--string", 'a" \\', "-j", "DROP");
    const nat =
      "*nat\n:MINE - [0:0]\n-A PREROUTING -p tcp --dport 8080 -j MINE\n-A MINE -p tcp -j REDIRECT --to-ports 80\nCOMMIT\n";
    await network.exec("host", program(backend, family, "-restore"), ["-w", "10", "--noflush"], nat);
  }
  await writeList(network, "DEFAULT", "+198.51.100.9\n");
}

/** All that is not ours: the filter table, the nat table and the foreign list. */
async function foreignState(network: Network, backend: Backend): Promise<unknown> {
  const tables = families.map(async ({ family }) => [
    await saveForeign(network, backend, family),
    (await network.exec("host", program(backend, family, "-save"), ["-t", "nat"])).replace(/^#.*$|\[\d+:\d+\]/gm, ""),
  ]);
  return [...(await Promise.all(tables)), await network.exec("host", "cat", ["/proc/net/xt_recent/DEFAULT"])];
}

function randomPolicy(random: Random) {
  const ports = new Set(Array.from({ length: 1 + random.integer(4) }, () => 1 + random.integer(65_535)));
  return {
    description: random.pick(["", 'quoted "text" and $(id)', "日本語 🚦", "-j ACCEPT; COMMIT"]),
    ports: [...ports],
    maxConnections: 1 + random.integer(100),
    countPer: { ipv4Prefix: 8 + random.integer(25), ipv6Prefix: 16 + random.integer(113) },
    ban: random.pick([
      null,
      {
        seconds: 1 + random.integer(4_294_967),
        scope: random.pick(["host", "ports"] as const),
        renewOnAttempt: random.pick([true, false]),
      },
    ]),
    rejectWith: random.pick(["tcp-reset", "icmp-port-unreachable", "drop"] as const),
    exempt: random.pick([[], ["10.0.0.0/8"], ["203.0.113.9", "2001:db8:5::/48"]]),
    mode: random.pick(["enforce", "enforce", "observe", "off"] as const),
  };
}

async function randomEdit({ service }: Scene, random: Random): Promise<void> {
  const policy = `/v1/policies/${random.pick(["web", "mysql", "ssh", "smtp", "imap"])}`;
  const family = random.pick(families);
  const ban = banPath(family.source(1 + random.integer(30)));
  const answer = await random.pick([
    () => service.request("PUT", policy, randomPolicy(random)),
    () => service.request("PUT", policy, randomPolicy(random)),
    () => service.request("DELETE", policy),
    () =>
      service.request("PUT", ban, {
        reason: random.pick(["", "`reboot`", "-A INPUT"]),
        ...random.pick([{}, { ttlSeconds: 1 + random.integer(100) }]),
      }),
    () => service.request("DELETE", ban),
  ])();
  // 202 under a crowd of writers: stored, and in the kernel a little later.
  assert.ok([200, 201, 202, 204, 404].includes(answer.status), `${answer.status} ${JSON.stringify(answer.body)}`);
}

forBackendsSideBySide((backend) => {
  describe("where others have rules", { concurrency: 1 }, () => {
    const untouched: string[] = [];
    const lists = (network: Network) => network.exec("host", "ls", ["-N", "/proc/net/xt_recent"]);
    let foreignLists = "";
    let scene: Scene | undefined;
    before(async () => {
      scene = await createScene({
        backend,
        ports: [4500],
        prepare: async (network) => {
          await installForeignRules(network, backend);
          for (const { family } of families) untouched.push(await save(network, backend, family));
          foreignLists = await lists(network);
        },
      });
    });
    after(() => scene?.dispose());
    const ownRules = async ({ network }: Scene): Promise<readonly string[]> => {
      const texts = await Promise.all(families.map(({ family }) => save(network, backend, family)));
      return texts.flatMap((text) => text.split("\n").filter((line) => line.includes("CLD-"))).sort();
    };
    const stage = (): Scene => scene ?? assert.fail("the scene was not made");

    test("one jump stands at the top of INPUT, and counters of foreign rules go on counting over edits", async () => {
      const { network, traffic, api } = stage();
      const counters = async () =>
        (await saveForeign(network, backend, 4, { counters: true })).match(/^\[\d+:\d+\] -A INPUT .*$/gm);
      for (const { source } of families) await traffic.close(await traffic.hold(source(1), 4500, 3));
      const before = await counters();
      assert.match(before?.[0] ?? "", /^\[[1-9]/);
      await api.putPolicy("web", { ports: [4501], maxConnections: 2, ban: { seconds: 60 } });
      await api.patchPolicy("web", { maxConnections: 3 });
      await api.putBan("10.9.0.77");
      await api.deleteBan("10.9.0.77");
      await api.deletePolicy("web");
      assert.deepEqual(await counters(), before);

      for (const { family } of families) {
        const input = (await save(network, backend, family)).split("\n").filter((line) => line.startsWith("-A INPUT"));
        const jumps = input.filter((line) => /-[jg] CLD-/.test(line));
        assert.deepEqual(jumps, input.slice(0, 1), "above an accept of established traffic");
      }
    });

    test(`foreign rules are byte-identical before and after ${edits} edits, over a restart and a stop`, async () => {
      const { network, service, api } = stage();
      const before = await foreignState(network, backend);
      for (const [index, { family }] of families.entries())
        assert.equal(await saveForeign(network, backend, family), untouched[index]);

      const random = seededRandom(2);
      for (let edit = 0; edit < edits; edit += crowd) {
        await Promise.all(Array.from({ length: crowd }, () => randomEdit(stage(), random)));
      }
      assert.deepEqual(await foreignState(network, backend), before);

      await eventually("nothing is pending", async () =>
        (await api.policies()).every((policy) => policy.enforcement.state !== "pending"),
      );
      const grown = await ownRules(stage());
      await service.restart();
      assert.deepEqual(await foreignState(network, backend), before);
      await service.stop();
      assert.deepEqual(await foreignState(network, backend), before);
      assert.deepEqual(await ownRules(stage()), grown);
    });

    test("rules that came about by many edits at the same time are those that a fresh kernel is given", async () => {
      const { stateDirectory } = stage().service;
      await using fresh = await createScene({ backend, ports: [], stateDirectory });
      const given = await ownRules(fresh);
      assert.ok(given.length > 10, `${given.length} rules`);
      assert.deepEqual(await ownRules(stage()), given);
    });

    test("a purge leaves the rules of others as they were before there was a service", async () => {
      const { network, service } = stage();
      const before = await foreignState(network, backend);
      const purged = await service.purge();
      assert.equal(purged.code, 0, purged.stderr);
      assert.deepEqual(await foreignState(network, backend), before);
      for (const [index, { family }] of families.entries()) assert.equal(await save(network, backend, family), untouched[index]);
      assert.deepEqual(await listedAddresses(network, "DEFAULT"), ["198.51.100.9"]);
      assert.equal(await lists(network), foreignLists);
    });
  });
});
