import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { samplePolicy } from "../../support/samples.ts";
import { classicBan } from "../some-policies.ts";
import { createReadings } from "./readings.ts";

const address = "203.0.113.9";
const mysql = samplePolicy({ ban: classicBan });
const web = samplePolicy({ name: "web", ports: [80], ban: classicBan });

type Scene = ReturnType<typeof createReadings>;

async function causes(scene: Scene, terms?: Parameters<Scene["observe"]>[0]): Promise<readonly (readonly string[])[]> {
  return (await scene.observe(terms)).bans.map((ban) => ban.policies);
}

for (const withSets of [false, true]) {
  describe(`the cause of a ban in a shared ${withSets ? "set" : "list"}`, () => {
    test("is the policy that saw the source when the ban began", async () => {
      const scene = createReadings({ policies: [mysql, web], withSets });
      scene.offend(web, address);
      assert.deepEqual(await causes(scene), [["web"]]);
    });

    test("is not a policy that saw the source at another time", async () => {
      const scene = createReadings({ policies: [mysql, web], withSets });
      scene.offend(mysql, address);
      scene.clock.advance(70_000);
      scene.offend(web, address);
      assert.deepEqual(await causes(scene), [["web"]]);
    });

    test("is not a policy that only observes, although it saw the same packet", async () => {
      const observer = samplePolicy({ name: "aaa", mode: "observe" });
      const scene = createReadings({ policies: [observer, mysql], withSets });
      scene.offend(observer, address);
      scene.offend(mysql, address);
      assert.deepEqual(await causes(scene), [["mysql"]]);
    });

    test("is not a policy without a ban, although it saw the source in the same tick", async () => {
      const mild = samplePolicy({ name: "mild", ports: [80] });
      const scene = createReadings({ policies: [mild, mysql], withSets });
      scene.offend(mild, address);
      scene.offend(mysql, address);
      assert.deepEqual(await causes(scene), [["mysql"]]);
    });

    test("are both policies where one source exceeded both limits in the same tick", async () => {
      const scene = createReadings({ policies: [mysql, web], withSets });
      scene.offend(mysql, address);
      scene.offend(web, address);
      assert.deepEqual(await causes(scene), [["mysql", "web"]]);
    });

    test("is not a policy that tells sources apart by another prefix", async () => {
      const wide = samplePolicy({ name: "wide", ports: [80], countPer: { ipv4Prefix: 24, ipv6Prefix: 64 } });
      const scene = createReadings({ policies: [mysql, wide], withSets });
      scene.offend(mysql, "203.0.113.0");
      scene.offend(wide, "203.0.113.0");
      assert.deepEqual(await causes(scene), [["mysql"]]);
    });

    test("is not a policy that bans into another home, although it saw the source in the same tick", async () => {
      const smtp = samplePolicy({ name: "smtp", ports: [25], ban: { ...classicBan, scope: "ports" } });
      const scene = createReadings({ policies: [mysql, smtp], withSets });
      scene.offend(smtp, address);
      scene.offend(mysql, address);
      assert.deepEqual((await causes(scene)).toSorted(), [["mysql"], ["smtp"]]);
    });

    test("is every policy that bans into it where the trace of the offence was pushed out", async () => {
      const drop = samplePolicy({ name: "drop", ports: [25], ban: classicBan, rejectWith: "drop" });
      const scene = createReadings({ policies: [mysql, web, drop], withSets });
      scene.offend(mysql, address);
      scene.forgetTrace(mysql, address);
      assert.deepEqual(await causes(scene), [["mysql", "web"]]);
    });

    test("is the policy whose terms were edited since, as its trace tells", async () => {
      const scene = createReadings({ policies: [mysql], withSets });
      scene.offend(mysql, address);
      assert.deepEqual(await causes(scene, [{ ...mysql, rejectWith: "drop", revision: 2 }]), [["mysql"]]);
    });

    test("is found for each address in a long list by looking at each list of offenders once", async () => {
      const scene = createReadings({ policies: [mysql, web], withSets });
      for (let host = 1; host <= 90; host += 1) scene.offend(host % 2 === 0 ? mysql : web, `192.0.2.${host}`);
      await scene.observe();
      const reads = new Map<string, number>();
      const counted = {
        ...scene.reading(),
        lists: {
          ...scene.lists,
          read: (name: string) => {
            reads.set(name, (reads.get(name) ?? 0) + 1);
            return scene.lists.read(name);
          },
        },
      };
      const { bans } = createReadings({ policies: [mysql, web], withSets }).ledger.observe(counted, [mysql, web]);
      assert.equal(bans.length, 90);
      assert.equal(bans.filter((ban) => ban.policies.join() === "mysql").length, 45);
      assert.ok(
        [...reads.values()].every((count) => count <= 2),
        JSON.stringify([...reads]),
      );
    });
  });

  test(`the cause of a ban from a policy's ports is that policy, whoever else saw the source (${withSets ? "set" : "list"})`, async () => {
    const ports = samplePolicy({ ban: { ...classicBan, scope: "ports" } });
    const scene = createReadings({ policies: [ports, web], withSets });
    scene.offend(ports, address);
    scene.offend(samplePolicy({ ...web, ban: null }), address);
    assert.deepEqual(await causes(scene), [["mysql"]]);
  });
}

describe("in lists, the cause", () => {
  test("is found where the stamps of the packet are a tick apart", async () => {
    const scene = createReadings({ policies: [mysql, web], withSets: false });
    scene.offend(web, address);
    scene.lists.stamp("cld4-host-60s-32-reset-once-all", address, scene.lists.jiffies() + 1);
    assert.deepEqual(await causes(scene), [["web"]]);
  });
});

describe("in sets, the cause", () => {
  test("is told by the set of offenders where its list forgot the offender", async () => {
    const scene = createReadings({ policies: [mysql, web] });
    scene.offend(web, address);
    scene.lists.drop("cld4-who-32-web", address);
    assert.deepEqual(await causes(scene), [["web"]]);
  });
});

for (const withSets of [false, true]) {
  test(`thousands who are banned at once under hundreds of policies have each their own cause (${withSets ? "sets" : "lists"}), and no list of offenders is read twice`, async () => {
    const policies = Array.from({ length: 300 }, (_, n) => samplePolicy({ name: `p${n}`, ports: [n + 1], ban: classicBan }));
    const scene = createReadings({ policies, withSets });
    scene.lists.setCapacity(10_000);
    const causeOf = new Map<string, string>();
    for (let n = 0; n < 3_000; n += 1) {
      const policy = policies[(n * 7) % policies.length] ?? mysql;
      const source = `10.0.${n >> 8}.${n & 255}`;
      causeOf.set(source, policy.name);
      scene.offend(policy, source);
    }
    const reads = new Map<string, number>();
    const { read } = scene.lists;
    scene.lists.read = (name) => {
      if (name.includes("-who-")) reads.set(name, (reads.get(name) ?? 0) + 1);
      return read(name);
    };
    const { bans } = await scene.observe();
    assert.deepEqual(new Map(bans.map((ban) => [ban.address, ban.policies.join()])), causeOf);
    assert.equal(Math.max(...reads.values()), 1);
  });
}

test("for a ban of one policy's ports no other policy's list of offenders is read", async () => {
  const scoped = { ...classicBan, scope: "ports" } as const;
  const policies = Array.from({ length: 20 }, (_, n) => samplePolicy({ name: `p${n}`, ports: [n + 1], ban: scoped }));
  const scene = createReadings({ policies });
  const [, second = mysql] = policies;
  scene.offend(second, address);
  const read: string[] = [];
  const { read: readList } = scene.lists;
  scene.lists.read = (name) => {
    if (name.includes("-who-")) read.push(name);
    return readList(name);
  };
  assert.deepEqual(await causes(scene), [["p1"]]);
  assert.deepEqual(read, ["cld4-who-32-p1"]);
});
