// nftables counts its changes, so that a look lists no rules that nobody can have changed. Legacy iptables does not.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { openStore } from "../../src/store/store.ts";
import { childrenOf, nameOf } from "../support/children.ts";
import { linkPrograms, withDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import { type Backend, families, forBackendsSideBySide, iptables, program, save } from "../support/kernel.ts";
import { createNetwork, type Network } from "../support/namespaces.ts";
import { samplePolicy } from "../support/samples.ts";
import { iptablesPrograms, otherPrograms, type Service, startService } from "../support/service.ts";

const policies = Array.from({ length: 120 }, (_, n) =>
  samplePolicy({ name: `p-${n}`, ports: [1000 + n], ban: { seconds: 60, scope: "host", renewOnAttempt: false } }),
);

interface Host {
  readonly network: Network;
  readonly service: Service;
  readonly stateDirectory: string;
  /** Takes away the programs that list and change rules, or gives them back. */
  setPrograms(there: boolean): Promise<void>;
}

async function withHost(backend: Backend, work: (host: Host) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const stateDirectory = join(directory, "state");
    const store = openStore({ stateDirectory });
    await store.transact((change) => {
      for (const policy of policies) change.putPolicy(policy);
    });
    store.close();
    const PATH = await linkPrograms(join(directory, "bin"), [...iptablesPrograms, ...otherPrograms, "ipset"]);
    const ofRules = families.flatMap(({ family }) =>
      (["-restore", "-save"] as const).map((ending) => join(PATH, program(backend, family, ending))),
    );
    const setPrograms = async (there: boolean): Promise<void> => {
      for (const path of ofRules) {
        if (there) await rename(`${path}.away`, path);
        else {
          await rename(path, `${path}.away`);
          await writeFile(path, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
        }
      }
    };
    await using network = await createNetwork();
    await using service = await startService({ network, backend, stateDirectory, env: { PATH, CONNLIMITD_LOG_LEVEL: "info" } });
    await work({ network, service, stateDirectory, setPrograms });
  });
}

interface Passes {
  readonly inStep: boolean;
  readonly passes: { readonly lastAt: string; readonly repairs: number };
}

const statusOf = async (service: Service): Promise<Passes> => (await service.request("GET", "/v1/status")).body as Passes;

/** Waits until so many looks more have ended well. */
async function looks(service: Service, count: number): Promise<void> {
  for (let look = 0; look < count; look += 1) {
    const { lastAt } = (await statusOf(service)).passes;
    await eventually("a look", async () => (await statusOf(service)).passes.lastAt !== lastAt, { within: 10_000 });
  }
}

/** How many characters the programs that list rules have printed so far. */
function printedOf(pid: number): number {
  const programs = childrenOf(pid).filter((child) => /^ip6?tables-/.test(nameOf(child)));
  assert.equal(programs.length, 2);
  return programs.reduce((sum, child) => sum + Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${child}/io`, "utf8"))?.[1]), 0);
}

/** Stops it when it has kept what it listed, which takes an answer in time of a host that may be busy. */
async function stoppedAfterLooks(service: Service, stateDirectory: string): Promise<boolean> {
  const isKept = (): boolean => existsSync(join(stateDirectory, "listed-rules"));
  for (let stop = 0; stop < 3 && (stop === 0 || !isKept()); stop += 1) {
    if (stop > 0) await service.restart();
    await looks(service, 2);
    assert.equal(await service.stop(), 0);
  }
  return isKept();
}

const rulesOf = async (network: Network, backend: Backend): Promise<readonly string[]> => {
  const texts = await Promise.all(families.map(({ family }) => save(network, backend, family)));
  return texts.flatMap((text) => text.split("\n").filter((line) => line.startsWith("-A CLD-") || line.startsWith("-A INPUT")));
};

forBackendsSideBySide((backend) => {
  const isCounted = backend === "nft";

  test(`a look ${isCounted ? "lists no rules" : "lists all rules"} while nobody changes one, and puts right what anybody changes`, async () => {
    await withHost(backend, async ({ network, service }) => {
      const right = await rulesOf(network, backend);
      await looks(service, 2);
      const [printed, settledAt] = [printedOf(service.pid()), Date.now()];
      // Whoever asks for the status has something listed as well.
      await eventually("some more looks are over", () => Date.now() - settledAt > 6000, { within: 10_000, every: 100 });
      const more = printedOf(service.pid()) - printed;
      // Where nothing has changed, each look lists INPUT to see that iptables still can.
      assert.ok(more > 0);
      assert.equal(more < right.join("\n").length, isCounted, `${more} characters`);
      const heals = async (what: string): Promise<void> => {
        await eventually(`${what} is put right`, async () => (await rulesOf(network, backend)).join() === right.join(), {
          within: 10_000,
        });
        await looks(service, 2);
      };
      await iptables(network, backend, 6, "-F", "CLD-P-p-7");
      await heals("a flush by iptables");
      if (!isCounted) return;
      await network.exec("host", "nft", ["delete", "table", "ip", "filter"]);
      await heals("a table that nft has deleted");
    });
  });

  describe("a start after a stop", () => {
    if (isCounted)
      test("is in step without a listing where nobody has changed a rule", async () => {
        await withHost(backend, async ({ network, service, stateDirectory, setPrograms }) => {
          const right = await rulesOf(network, backend);
          assert.equal(await stoppedAfterLooks(service, stateDirectory), true);
          await setPrograms(false);
          const said = service.logs().length;
          await service.restart();
          const started = (): string => service.logs().slice(said);
          await eventually("it is in step", () => started().includes('"msg":"the kernel is in step"'));
          assert.doesNotMatch(started().split('"msg":"the kernel is in step"')[0] ?? "", / fails/);
          await eventually("the look after it misses the programs", () => /ip6?tables-nft-save fails/.test(started()), {
            within: 10_000,
          });
          await setPrograms(true);
          await eventually("all is well again", async () => (await statusOf(service)).inStep, { within: 10_000 });
          assert.deepEqual(await rulesOf(network, backend), right);
        });
      });

    test("puts right what somebody has changed meanwhile", async () => {
      await withHost(backend, async ({ network, service, stateDirectory }) => {
        const right = await rulesOf(network, backend);
        if (isCounted) assert.equal(await stoppedAfterLooks(service, stateDirectory), true);
        else {
          await looks(service, 2);
          assert.equal(await service.stop(), 0);
          assert.equal(existsSync(join(stateDirectory, "listed-rules")), false);
        }
        await service.restart();
        for (const stop of [service.stop, service.kill]) {
          await stop();
          await iptables(network, backend, 4, "-F", "CLD-P-p-7");
          await iptables(network, backend, 6, "-I", "CLD-O-p-8", "1", "-j", "RETURN");
          await service.restart();
          assert.deepEqual(await rulesOf(network, backend), right);
          assert.equal((await statusOf(service)).inStep, true);
        }
        await service.stop();
        await rm(join(stateDirectory, "listed-rules"), { force: true });
        await service.restart();
        assert.deepEqual(await rulesOf(network, backend), right);
      });
    });
  });
});
