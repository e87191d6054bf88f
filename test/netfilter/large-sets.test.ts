import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseSetNumbers } from "../../src/netfilter/ipset/saved-sets.ts";
import { sampleOperatorBan, samplePolicy } from "../support/samples.ts";
import { createHost, desire } from "./host.ts";
import { classicBan } from "./some-policies.ts";

test("of tens of thousands of entries only the number is asked while none comes or goes", async () => {
  const host = createHost();
  const bans = Array.from({ length: 21_000 }, (_, n) => sampleOperatorBan({ address: `198.18.${n >> 8}.${n & 255}` }));
  const desired = desire([], bans);
  await host.firewall.converge(desired);
  await host.firewall.converge(desired);
  const read = host.ipset.started("save");
  host.clock.advance(2000);
  await host.firewall.converge(desired);
  assert.equal(host.ipset.started("save"), read);
  host.ipset.edit("del cld4-operator 198.18.40.1");
  host.clock.advance(2000);
  const { found } = await host.firewall.converge(desired);
  assert.deepEqual(found, ["cld4-operator differs in 1 entries"]);
  host.clock.advance(11_000);
  const before = host.ipset.started("save");
  await host.firewall.converge(desired);
  assert.equal(host.ipset.started("save"), before + 1);
});

describe("many bans and rules", () => {
  const policies = Array.from({ length: 70 }, (_, n) => samplePolicy({ name: `p-${n}`, ports: [1000 + n] }));
  const bans = Array.from({ length: 1200 }, (_, n) => sampleOperatorBan({ address: `198.18.${n >> 8}.${n & 255}` }));
  const desired = desire(policies, bans);
  const commandsOf = (text: string): readonly string[] => [
    ...new Set(
      text
        .trim()
        .split("\n")
        .map((line) => line.split(" ")[0] ?? ""),
    ),
  ];

  test("go into a kernel without any side by side: the sets are made, then filled while rules that name them are made", async () => {
    const host = createHost();
    const { writes } = await host.firewall.converge(desired);
    assert.deepEqual(host.ipset.restores.map(commandsOf), [["create"], ["add"]]);
    assert.ok(writes > 2000);
    assert.equal((await host.firewall.converge(desired)).writes, 0);
  });

  test("whom a policy banned is in its set before the rules that could ban anew", async () => {
    const [banned] = policies.map((policy) => ({ ...policy, ban: classicBan }));
    const withBan = desire([...(banned ? [banned] : []), ...policies.slice(1)], bans);
    const host = createHost();
    await host.firewall.converge(withBan);
    if (banned) host.offend(banned, "203.0.113.9");
    const { policyBans } = await host.firewall.view();
    assert.equal(policyBans.length, 1);
    await host.firewall.converge(withBan);
    host.flush();
    host.ipset.edit(...host.ipset.names().map((name) => `destroy ${name}`));
    const { length } = host.ipset.restores;
    await host.firewall.converge(withBan);
    const [first = "", second = ""] = host.ipset.restores.slice(length);
    assert.match(first, /^add cld4-h32ro-all 203\.0\.113\.9 /m);
    assert.deepEqual(commandsOf(second), ["add"]);
    assert.doesNotMatch(second, /203\.0\.113\.9/);
  });

  test("go in one after the other where rules stand: who is banned in a set that is new must not get in meanwhile", async () => {
    const host = createHost();
    await host.firewall.converge(desire(policies.slice(1)));
    const { length } = host.ipset.restores;
    await host.firewall.converge(desired);
    assert.deepEqual(host.ipset.restores.slice(length).map(commandsOf), [["create", "add"]]);
  });

  test("have their sets made before all else, once, and filled when all is known", async () => {
    const host = createHost();
    const few = desire(policies, [sampleOperatorBan({ address: "198.51.100.0/24" })]);
    await host.firewall.converge(few);
    assert.deepEqual(host.ipset.restores.map(commandsOf), [["create"], ["add"]]);
    assert.equal((await host.firewall.converge(few)).writes, 0);
    assert.equal(host.ipset.restores.length, 2);
  });

  test("have no set made where one of another type is in the way", async () => {
    const host = createHost();
    host.ipset.edit("create cld4-operator hash:ip family inet maxelem 9 timeout 0");
    await assert.rejects(host.firewall.converge(desired), /cld4-operator is of another type/);
    assert.deepEqual(host.ipset.names(), ["cld4-operator"]);
  });

  test("are tried again when the sets could not be made", async () => {
    const host = createHost();
    host.ipset.setFault("restore fails");
    await assert.rejects(host.firewall.converge(desired), /ipset restore fails/);
    host.ipset.setFault(null);
    await host.firewall.converge(desired);
    assert.equal((await host.firewall.converge(desired)).writes, 0);
    assert.equal(host.ipset.names().length, 144);
  });

  test("are tried again when the sets could not be filled", async () => {
    const host = createHost();
    // Once for the first lists, which are made beside the sets.
    host.kernel.afterNextRestore(() => host.ipset.setFault("restore fails"));
    await assert.rejects(host.firewall.converge(desired), /ipset restore fails/);
    host.ipset.setFault(null);
    await host.firewall.converge(desired);
    assert.equal((await host.firewall.converge(desired)).writes, 0);
    assert.equal(host.operatorBans().inSet.length + (host.operatorBans().listed?.length ?? 0), 1200);
  });
});

test("the text of ipset list -terse tells the number of entries of each set of this service, and of rules that hold it", () => {
  const text = `Name: cld4-operator
Type: hash:net
Header: family inet hashsize 64 maxelem 262144 timeout 0
Size in memory: 1384
References: 2
Number of entries: 3

Name: foreign
Type: hash:ip
References: 9
Number of entries: 5

Name: cld6-grace
Type: hash:net
References: 0
Number of entries: 0
`;
  const read = (what: Parameters<typeof parseSetNumbers>[1]) => Object.fromEntries(parseSetNumbers(text, what));
  assert.deepEqual(read("Number of entries"), { "cld4-operator": 3, "cld6-grace": 0 });
  assert.deepEqual(read("References"), { "cld4-operator": 2, "cld6-grace": 0 });
});

test("an entry of a set that was read a while ago is compared with the time that it had then", async () => {
  const host = createHost();
  const end = host.clock.now() + 3_600_000;
  const bans = Array.from({ length: 21_000 }, (_, n) =>
    sampleOperatorBan({ address: `198.18.${n >> 8}.${n & 255}`, expiresAt: end }),
  );
  const desired = desire([], bans);
  await host.firewall.converge(desired);
  for (let look = 0; look < 8; look += 1) {
    host.clock.advance(2000);
    assert.equal((await host.firewall.converge(desired)).writes, 0);
  }
});
