import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { banHomeName } from "../../../src/netfilter/bans/ban-home.ts";
import { activityName } from "../../../src/netfilter/bans/names.ts";
import { walkPacket } from "../../support/packet-walk.ts";
import { samplePolicy } from "../../support/samples.ts";
import { classicBan } from "../some-policies.ts";
import { createRules, kernels } from "./rules.ts";

for (const kernel of kernels) {
  const { family } = kernel;
  const { from, opening, established, where, compile, verdictOf, homeOf, banned, written, offenders } = createRules(kernel);

  describe(`${where}, a policy`, () => {
    const classic = samplePolicy({ ban: classicBan });

    test("lets a source open as many connections as it allows", () => {
      assert.equal(verdictOf([classic], opening, { connections: 2 }), "passed");
    });

    test("refuses the next one, lists the source as an offender and bans it", () => {
      assert.equal(verdictOf([classic], opening, { connections: 3 }), "tcp-reset");
      assert.deepEqual(written([classic], opening, { connections: 3 }), [...offenders(classic), banHomeName(homeOf(classic))]);
    });

    test("writes each source over the limit down where one look tells that something has changed", () => {
      for (const policy of [classic, samplePolicy(), samplePolicy({ ban: classicBan, mode: "observe" })]) {
        const { stamped } = walkPacket(compile([policy]), opening, { connections: 3 });
        assert.ok(stamped.includes(activityName(family)));
      }
      assert.deepEqual(walkPacket(compile([classic]), opening, { connections: 2 }).stamped, []);
    });

    test("counts connections, not packets", () => {
      assert.equal(verdictOf([classic], established, { connections: 9 }), "passed");
    });

    test("leaves other ports and protocols alone", () => {
      assert.equal(verdictOf([classic], { ...opening, port: 22 }, { connections: 9 }), "passed");
      assert.equal(verdictOf([classic], { from, protocol: "udp", port: 3306 }, { connections: 9 }), "passed");
    });

    test("with ban null refuses the excess and bans nobody", () => {
      const policy = samplePolicy();
      assert.equal(verdictOf([policy], opening, { connections: 3 }), "tcp-reset");
      assert.deepEqual(written([policy], opening, { connections: 3 }), offenders(policy));
    });

    test("in mode observe lists the offender and refuses nothing", () => {
      const policy = samplePolicy({ ban: classicBan, mode: "observe" });
      assert.equal(verdictOf([policy], opening, { connections: 3 }), "passed");
      assert.deepEqual(written([policy], opening, { connections: 3 }), offenders(policy));
    });

    test("in mode off is absent", () => {
      assert.deepEqual(compile([samplePolicy({ ban: classicBan, mode: "off" })]), compile([]));
    });

    test("refuses in the way that it was told", () => {
      for (const [rejectWith, verdict] of [
        ["tcp-reset", "tcp-reset"],
        ["icmp-port-unreachable", "port-unreachable"],
        ["drop", "drop"],
      ] as const) {
        const policy = samplePolicy({ rejectWith, ban: classicBan });
        assert.equal(verdictOf([policy], opening, { connections: 3 }), verdict);
        assert.equal(verdictOf([policy], established, banned(policy)), verdict);
      }
    });

    test("applies to each of its ports", () => {
      for (const port of [1, 80, 65535]) {
        assert.equal(verdictOf([samplePolicy({ ports: [1, 80, 65535] })], { ...opening, port }, { connections: 3 }), "tcp-reset");
      }
    });

    test("meets a port after another policy of that port has let the packet pass", () => {
      const second = samplePolicy({ name: "second", maxConnections: 1 });
      assert.equal(verdictOf([classic, second], opening, { connections: 2 }), "tcp-reset");
      assert.deepEqual(written([classic, second], opening, { connections: 2 }), offenders(second));
    });
  });

  describe(`${where}, a ban by a policy`, () => {
    test("of scope host refuses all TCP, established connections too, and no other protocol", () => {
      const policy = samplePolicy({ ban: classicBan });
      const memory = banned(policy);
      for (const packet of [opening, established, { from, port: 22 }, { from, port: 22, opens: true }]) {
        assert.equal(verdictOf([policy], packet, memory), "tcp-reset");
      }
      assert.equal(verdictOf([policy], { from, protocol: "udp", port: 53 }, memory), "passed");
    });

    test("of scope ports refuses these ports alone, established connections too", () => {
      const policy = samplePolicy({ ports: [80, 443], ban: { ...classicBan, scope: "ports" } });
      const memory = banned(policy);
      assert.equal(verdictOf([policy], { from, port: 443 }, memory), "tcp-reset");
      assert.equal(verdictOf([policy], { from, port: 80, opens: true }, memory), "tcp-reset");
      assert.equal(verdictOf([policy], { from, port: 3306 }, memory), "passed");
    });

    test("is not felt by other sources", () => {
      const policy = samplePolicy({ ban: classicBan });
      assert.equal(
        verdictOf([policy], { ...opening, from: family === 4 ? "203.0.113.10" : "2001:db8:1:3::9" }, banned(policy)),
        "passed",
      );
    });

    test("is renewed by new attempts alone, and only where the policy says so", () => {
      const once = samplePolicy({ ban: classicBan });
      const renewing = samplePolicy({ ban: { ...classicBan, renewOnAttempt: true } });
      assert.deepEqual(written([once], opening, banned(once)), []);
      assert.deepEqual(written([renewing], opening, banned(renewing)), [banHomeName(homeOf(renewing))]);
      assert.deepEqual(written([renewing], established, banned(renewing)), []);
      for (const packet of [opening, established]) assert.equal(verdictOf([renewing], packet, banned(renewing)), "tcp-reset");
    });

    test("holds a list that no policy writes to any more until it is retired no more", () => {
      const before = samplePolicy({ ban: classicBan });
      const after = samplePolicy({ ban: classicBan, rejectWith: "drop" });
      assert.equal(walkPacket(compile([after], [homeOf(before)]), established, banned(before)).verdict, "tcp-reset");
      assert.equal(walkPacket(compile([after]), established, banned(before)).verdict, "passed");
    });

    test("of scope ports whose list is retired refuses the ports that its policy has now", () => {
      const before = samplePolicy({ ban: { ...classicBan, scope: "ports" } });
      const after = samplePolicy({ ports: [3307], ban: null });
      const chains = compile([after], [homeOf(before)]);
      assert.equal(walkPacket(chains, { from, port: 3307 }, banned(before)).verdict, "tcp-reset");
      assert.equal(walkPacket(chains, { from, port: 3306 }, banned(before)).verdict, "passed");
    });

    test("is one list for all policies that ban alike", () => {
      const policies = [samplePolicy({ ban: classicBan }), samplePolicy({ name: "web", ports: [80], ban: classicBan })];
      assert.equal(new Set(policies.map((policy) => banHomeName(homeOf(policy)))).size, 1);
      assert.equal(verdictOf(policies, { from, port: 22 }, banned(samplePolicy({ ban: classicBan }))), "tcp-reset");
    });
  });
}
