// Legacy's trap: any change of the table makes the kernel forget how many connections each source has (kernel.md › connlimit).
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { familiesOf, forSetupsSideBySide, iptables } from "../support/kernel.ts";
import { shareScene } from "../support/shared-scenes.ts";

const [limited, banning, other] = [5800, 5801, 5802];

forSetupsSideBySide((setup) => {
  const { backend } = setup;
  const scene = shareScene({ ...setup, ports: [limited, banning, other] });

  for (const { family, source, subject } of familiesOf(setup)) {
    describe(`over IPv${family}`, () => {
      const rule = ["-p", "udp", "--dport", "53", "-j", "ACCEPT"];

      test("after a change of the table by another tool, who holds too much is reported where the kernel forgot, and refused where not", async () => {
        const { api, traffic, network } = scene();
        await api.putPolicy("limited", { ports: [limited], maxConnections: 2 });
        const held = [...(await traffic.hold(source(1), limited, 2))];
        assert.equal(await traffic.knock(source(1), limited), "refused");
        assert.deepEqual((await api.status()).overLimit, []);
        const before = (await api.status()).countsForgottenAt;

        await iptables(network, backend, family, "-A", "INPUT", ...rule);
        const changedAt = Date.now();
        if (backend === "nft") {
          assert.equal(await traffic.knock(source(1), limited), "refused", "nft does not forget");
          assert.equal((await api.status()).countsForgottenAt, null);
        } else {
          held.push(...(await traffic.hold(source(1), limited, 2)));
          const at = await eventually("the status says so", async () => {
            const { countsForgottenAt } = await api.status();
            return countsForgottenAt !== before && Date.parse(countsForgottenAt ?? "");
          });
          assert.ok(at - changedAt < 2_500, `it was noticed after ${at - changedAt} ms`);
          const { overLimit, warnings } = await api.status();
          assert.deepEqual(
            overLimit.map(({ policy, source: over, connections }) => [policy, over, connections]),
            [["limited", subject(1), 4]],
          );
          assert.match(warnings.find(({ code }) => code === "counts-forgotten")?.remedy ?? "", /CONNLIMITD_BACKEND=nft/);
          const offenders = await api.offenders("limited");
          assert.ok(offenders.some((offender) => offender.source === subject(1)));
          assert.equal((await api.check(source(1))).verdict, "limited");
        }
        await traffic.close(held);
        await eventually("nobody is above the limit", async () => (await api.status()).overLimit.length === 0);
        await iptables(network, backend, family, "-D", "INPUT", ...rule);
        await api.deletePolicy("limited");
      });

      test("the end of the last ban under earlier terms is no reason to write to the table", async () => {
        const { api, traffic } = scene();
        await api.putPolicy("banning", { ports: [banning], maxConnections: 1, ban: { seconds: 3 } });
        await api.putPolicy("limited", { ports: [limited], maxConnections: 2 });
        await traffic.exceed([source(5)], banning, 1);
        assert.equal(await traffic.knock(source(5), other), "refused");
        // From here on the ban stands in a list that no policy writes to.
        await api.patchPolicy("banning", { rejectWith: "icmp-port-unreachable" });
        const held = await traffic.hold(source(6), limited, 2);
        const before = await api.status();
        assert.equal(await traffic.knock(source(5), other), "refused", "it goes on");

        await eventually("it ends", async () => (await traffic.knock(source(5), other)) === "connected");
        const endedAt = Date.now();
        await eventually("a look at the rules is over", () => Date.now() - endedAt > 2_300, { every: 100 });
        assert.equal(await traffic.knock(source(6), limited), "refused", "its connections are still counted");
        const after = await api.status();
        assert.equal(after.countsForgottenAt, before.countsForgottenAt);
        assert.equal(after.passes.repairs.count, before.passes.repairs.count);
        await traffic.close(held);
        for (const name of ["banning", "limited"]) await api.deletePolicy(name);
      });
    });
  }
}, "legacy");
