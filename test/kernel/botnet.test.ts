// A botnet does not unban itself, and pushes out nobody's ban.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { BurstResult } from "../support/agent.ts";
import type { BanResource } from "../support/api.ts";
import { eventually } from "../support/eventually.ts";
import { families, forBackendsSideBySide } from "../support/kernel.ts";
import { seededRandom } from "../support/random.ts";
import { createScene } from "../support/scene.ts";

const [attacked, other] = [5300, 5301];
const bots = 5_000;
const sampled = 300;
const seconds = 60;
const tolerance = 200;

/** Bots of both families in turn; from 1,000 on, so that they are nobody's of other tests. */
const botnet = (count: number) =>
  Array.from({ length: count }, (_, index) => {
    const { source, subject } = families[index % 2] ?? families[0] ?? assert.fail();
    return { source: source(1_000 + index), subject: subject(1_000 + index) };
  });

/** What is wrong with the listed ban of a bot. */
function errorsOf(ban: BanResource | undefined, { begun, ended }: Pick<BurstResult, "begun" | "ended">): readonly string[] {
  const [cause] = ban?.causes ?? [];
  if (!ban?.enforced || cause?.policy !== "attacked") return [JSON.stringify(ban)];
  /** How far a time is from the attempt that was refused. */
  const off = (time: number): number => Math.min(0, time - begun) + Math.max(0, time - ended);
  const since = off(Date.parse(cause.since));
  const end = off(Date.parse(ban.expiresAt ?? "") - seconds * 1_000);
  return Math.abs(since) > tolerance || Math.abs(end) > tolerance ? [`${ban.address} since ${since} ms, until ${end} ms`] : [];
}

forBackendsSideBySide((backend) => {
  test(`${bots} offenders within seconds are all banned for their time, listed, and right to ${tolerance} ms`, async () => {
    await using scene = await createScene({ backend, ports: [attacked, other] });
    const { api, traffic } = scene;
    await api.putPolicy("attacked", { ports: [attacked], maxConnections: 1, ban: { seconds } });
    for (const { source } of families) await api.putBan(source(1));
    const all = botnet(bots);

    const offences = await traffic.exceed(
      all.map(({ source }) => source),
      attacked,
      1,
    );
    assert.deepEqual(new Set(offences.map(({ outcome }) => outcome)), new Set(["refused"]));
    const attempts = new Map(offences.map((offence) => [offence.from, offence]));

    const random = seededRandom(8);
    const sample = Array.from({ length: sampled }, () => random.pick(all).source);
    assert.deepEqual(Object.keys(await traffic.knockAll(sample, other)), ["refused"]);
    // The kernel rounds the ends of what it holds in a set to seconds; a few readings tell them better.
    const allAreRight = async (): Promise<boolean> => {
      const listed = await api.bans({ by: "policy" });
      assert.equal(listed.length, bots);
      const banned = new Map(listed.map((ban) => [ban.address, ban]));
      const off = all.flatMap(({ source, subject }) => errorsOf(banned.get(subject), attempts.get(source) ?? assert.fail()));
      assert.deepEqual(off.slice(0, 5), [], `${off.length} of ${bots} are off`);
      return true;
    };
    await eventually("every bot is listed once, with its cause and its time", allAreRight, { within: 15_000, every: 300 });
    assert.equal((await api.offenders("attacked")).length, bots);
    for (const { source } of families) {
      assert.equal((await api.ban(source(1)))?.enforced, true);
      assert.equal(await traffic.knock(source(1), other), "refused");
    }

    const lifted = all.slice(0, 2_500).map(({ subject }) => subject);
    assert.equal((await api.batch({ delete: lifted })).deleted, lifted.length);
    assert.equal((await api.bans({ by: "policy" })).length, bots - lifted.length);
    const free = all.slice(0, 50).map(({ source }) => source);
    assert.deepEqual(Object.keys(await traffic.knockAll(free, other)), ["connected"]);
  });

  test("without ipset a botnet pushes out no operator's ban, and what is listed is refused", async () => {
    await using scene = await createScene({ backend, ports: [attacked, other], withoutIpset: true });
    const { api, traffic, service } = scene;
    await api.putPolicy("attacked", { ports: [attacked], maxConnections: 1, ban: { seconds } });
    const operators = families.flatMap(({ source }) => Array.from({ length: 50 }, (_, index) => source(1 + index)));
    await api.batch({ put: operators.map((address) => ({ address })) });
    const all = botnet(600);
    const offences = await traffic.exceed(
      all.map(({ source }) => source),
      attacked,
      1,
    );
    // On legacy the service's own change of the table, when it puts bans back, makes the kernel forget a few counts.
    const offended = offences.filter(({ outcome }) => outcome === "refused").length;
    assert.ok(offended >= (backend === "nft" ? all.length : 500), `${offended} were refused`);
    assert.deepEqual(Object.keys(await traffic.knockAll(operators, other)), ["refused"]);
    assert.equal((await api.bans({ by: "operator" })).filter((ban) => ban.enforced).length, operators.length);

    // The service puts those back that were pushed out, as far as there is room.
    const lookedAt = Date.now();
    await eventually("a look at the rules is over", () => Date.now() - lookedAt > 2_500, { every: 100 });
    assert.equal((await service.request("GET", "/readyz")).status, 200);
    const listed = new Map((await api.bans({ by: "policy" })).map((ban) => [ban.address, ban.enforced]));
    const knocks = await traffic.knockAll(
      all.map(({ source }) => source),
      other,
    );
    const refused = new Set(knocks.refused);
    const lies = all.filter(({ source, subject }) => (listed.get(subject) ?? false) !== refused.has(source));
    assert.deepEqual(
      lies.map(({ subject }) => `${subject}: listed as enforced ${listed.get(subject)}`),
      [],
    );
    assert.ok(refused.size >= 200, `${refused.size} of ${all.length} are banned`);
  });
});
