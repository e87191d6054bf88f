// A start that finds the rules of the one before composed beside the database.
import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import type { Policy } from "../../src/domain/policy.ts";
import { createComposedRules } from "../../src/netfilter/composed-rules.ts";
import { parseSavedBeside } from "../../src/netfilter/iptables/saved-table.ts";
import { openStore } from "../../src/store/store.ts";
import { createDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import { type Backend, forBackendsSideBySide, program, restore, save } from "../support/kernel.ts";
import { createNetwork, type Network } from "../support/namespaces.ts";
import { samplePolicy } from "../support/samples.ts";
import { type Service, startService } from "../support/service.ts";
import { createTestClock } from "../support/test-clock.ts";

const kinds: readonly Partial<Policy>[] = [
  { ban: { seconds: 60, scope: "host", renewOnAttempt: false } },
  { ban: { seconds: 3600, scope: "ports", renewOnAttempt: true }, rejectWith: "drop" },
  { exempt: ["10.0.0.0/8", "2001:db8::/32"], rejectWith: "icmp-port-unreachable" },
  { mode: "observe", countPer: { ipv4Prefix: 24, ipv6Prefix: 48 } },
];
const policies = Array.from({ length: 120 }, (_, n) =>
  samplePolicy({ name: `p-${n}`, ports: [1000 + n], maxConnections: 50, ...kinds[n % kinds.length] }),
);

const rulesOf = async (network: Network, backend: Backend): Promise<readonly string[]> => {
  const texts = await Promise.all(([4, 6] as const).map((family) => save(network, backend, family)));
  return texts.flatMap((text) => text.split("\n").filter((line) => /^(:|-A )(CLD-|INPUT)/.test(line)));
};

forBackendsSideBySide((backend) => {
  test("a start looks at the chains that have changed, and leaves the rules that a start without any memory leaves", async () => {
    await using stack = new AsyncDisposableStack();
    const directory = stack.adopt(await createDirectory(), (one) => one.remove());
    const stateDirectory = join(directory.path, "state");
    const change = async (work: Parameters<ReturnType<typeof openStore>["transact"]>[0]): Promise<void> => {
      const store = openStore({ stateDirectory });
      await store.transact(work);
      store.close();
    };
    await change((store) => {
      for (const policy of policies) store.putPolicy(policy);
    });
    const network = stack.use(await createNetwork());
    const start = async (on: Network, state = stateDirectory): Promise<Service> =>
      stack.adopt(await startService({ network: on, backend, stateDirectory: state }), (service) => service.dispose());
    const service = await start(network);
    const kept = join(stateDirectory, "composed-rules");
    await eventually("the rules are kept", () => existsSync(kept), { within: 10_000 });
    await service.kill();

    // The kernel prints them as they were composed, and in the same order.
    const text = readFileSync(kept, "latin1");
    const [, madeBy = ""] = /"made":"(\S+) /.exec(text) ?? [];
    const file = { read: () => text, write: async () => undefined };
    const known =
      createComposedRules({ file, madeBy, backend, clock: createTestClock(), onFailure: assert.ifError }).known(policies) ??
      assert.fail("nothing is known");
    for (const family of [4, 6] as const) {
      const printed = await network.exec("host", program(backend, family, "-save"), ["-t", "filter"]);
      const { standing } = parseSavedBeside(printed, known.texts[family], known.current);
      assert.equal(standing?.size, policies.length);
    }

    // A fault that is in the kernel and in the text alike: whoever uses the text overlooks it, until he composes the rules.
    const wrong = (lines: string): string => lines.replace(/(-A CLD-P-p-40 .*--connlimit-above )50 /, "$151 ");
    const [rule = ""] = /^-A CLD-P-p-40 .*/m.exec(text) ?? [];
    await restore(network, backend, 4, ["-F CLD-P-p-40", wrong(rule)]);
    const body = wrong(text.slice(41));
    writeFileSync(kept, `${hash("sha1", body)}\n${body}`);
    await restore(network, backend, 4, ["-F CLD-P-p-7", "-A CLD-O-p-8 -j RETURN", "-I CLD-P-p-9 1 -j RETURN"]);
    const taken = ["-F CLD-P-p-10", "-F CLD-O-p-10", "-X CLD-O-p-10"];
    await restore(network, backend, 6, ["-F CLD-NEW", ...taken, ":CLD-P-x - [0:0]", "-A CLD-P-x -j DROP"]);
    await change((store) => {
      store.putPolicy({ ...(policies[20] ?? samplePolicy()), maxConnections: 7, revision: 2 });
      store.putPolicy(samplePolicy({ name: "web", ports: [80, 443, 1001] }));
      store.deletePolicy("p-30");
    });
    await cp(stateDirectory, join(directory.path, "other"), { recursive: true });
    await rm(join(directory.path, "other", "composed-rules"));
    const elsewhere = stack.use(await createNetwork());
    await start(elsewhere, join(directory.path, "other"));
    const right = await rulesOf(elsewhere, backend);
    const said = service.logs().length;
    await service.restart();
    const overlooked = '"found":["IPv4: chain CLD-P-p-40 differs in 2 rules"]';
    const putRight = (): boolean => service.logs().slice(said).includes(overlooked);
    await eventually("the look after it has put the fault right", putRight, { within: 10_000 });
    assert.deepEqual(await rulesOf(network, backend), right);

    // Long before rules are kept again, but for a stop.
    const late = { ports: [443], maxConnections: 5 };
    assert.equal((await service.request("PUT", "/v1/policies/late", late)).status, 201);
    assert.doesNotMatch(readFileSync(kept, "latin1"), /CLD-P-late/);
    assert.equal(await service.stop(), 0);
    assert.match(readFileSync(kept, "latin1"), /CLD-P-late/);

    // After a reboot, with some of it known and one policy changed since.
    await change((store) => store.putPolicy({ ...(policies[21] ?? samplePolicy()), maxConnections: 8, revision: 2 }));
    await cp(stateDirectory, join(directory.path, "third"), { recursive: true });
    await rm(join(directory.path, "third", "composed-rules"));
    const [rebooted, bare] = [stack.use(await createNetwork()), stack.use(await createNetwork())];
    await Promise.all([start(rebooted), start(bare, join(directory.path, "third"))]);
    assert.deepEqual(await rulesOf(rebooted, backend), await rulesOf(bare, backend));
  });
});
