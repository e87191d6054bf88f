// Facts of iptables-restore: what is atomic, what `--test` asks, what the lock does (kernel.md › iptables).
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { withDirectory } from "../../support/directories.ts";
import { eventually } from "../../support/eventually.ts";
import {
  forBackends,
  forBackendsAndFamilies,
  iptables,
  listedAddresses,
  program,
  readList,
  restore,
  save,
  writeList,
} from "../../support/kernel.ts";
import { createNetwork } from "../../support/namespaces.ts";

const tooManyHits = "-A INPUT -m recent --name facts --rcheck --seconds 5 --hitcount 100000 -j DROP";

forBackendsAndFamilies((backend, { family, host }) => {
  test("a transaction with one line that the kernel refuses changes nothing", async () => {
    await using network = await createNetwork();
    await restore(network, backend, family, ["-A INPUT -p tcp --dport 8001 -j DROP"]);
    const before = await save(network, backend, family);
    await assert.rejects(
      restore(network, backend, family, [":CLD-FACTS - [0:0]", "-A CLD-FACTS -j DROP", "-F INPUT", tooManyHits]),
    );
    assert.equal(await save(network, backend, family), before);
    assert.equal(await readList(network, "facts"), undefined);
  });

  test("--test finds what iptables cannot read, changes nothing, and does not ask the kernel", async () => {
    await using network = await createNetwork();
    const before = await save(network, backend, family);
    const ask = (line: string) =>
      network.tryExec(
        "host",
        program(backend, family, "-restore"),
        ["-w", "10", "--noflush", "--test"],
        `*filter\n${line}\nCOMMIT\n`,
      );
    assert.notEqual((await ask("-A INPUT -p tcp --dport 99999 -j DROP")).code, 0);
    assert.equal((await ask("-A INPUT -p tcp --dport 8001 -j DROP")).code, 0);
    assert.equal((await ask(tooManyHits)).code, 0, "the kernel would refuse this one");
    assert.equal(await save(network, backend, family), before);
  });

  test("a rule that is deleted by its number is the one that stood there when the lines before had been done", async () => {
    await using network = await createNetwork();
    await restore(
      network,
      backend,
      family,
      [1, 2, 3].map((n) => `-A INPUT -p tcp --dport 800${n} -j DROP`),
    );
    await restore(network, backend, family, [
      "-D INPUT 1",
      "-I INPUT 2 -p tcp --dport 8009 -j DROP",
      "-R INPUT 3 -p tcp --dport 8007 -j DROP",
    ]);
    const ports = [...(await save(network, backend, family)).matchAll(/--dport (\d+)/g)].map(([, port]) => port);
    assert.deepEqual(ports, ["8002", "8009", "8007"]);
  });

  test("counters of rules that a transaction does not name are kept", async () => {
    await using network = await createNetwork();
    await restore(network, backend, family, ["-A INPUT -p tcp --dport 8009 -j REJECT --reject-with tcp-reset"]);
    await network.tryExec("client", "bash", ["-c", `: < /dev/tcp/${host}/8009`]);
    const counted = /^\[1:\d+\] -A INPUT -p tcp -m tcp --dport 8009 .*$/m.exec(
      await save(network, backend, family, { counters: true }),
    )?.[0];
    assert.ok(counted !== undefined);

    await restore(network, backend, family, [":CLD-FACTS - [0:0]", "-I INPUT 1 -j CLD-FACTS", "-A CLD-FACTS -j RETURN"]);
    assert.ok((await save(network, backend, family, { counters: true })).includes(counted));
    await restore(network, backend, family, ["-D INPUT -j CLD-FACTS", "-F CLD-FACTS", "-X CLD-FACTS"]);
    assert.ok((await save(network, backend, family, { counters: true })).includes(counted));
  });
});

forBackends((backend) => {
  test("who waits a second for the lock in vain exits with 4 on legacy; nft does not take it, nor does iptables-save", async () => {
    await using network = await createNetwork();
    await withDirectory(async (directory) => {
      const lock = join(directory, "xtables.lock");
      const holder = network.spawn("host", "flock", ["--no-fork", lock, "sleep", "30"], { stdio: "ignore" });
      await eventually("the lock is held", async () => (await network.tryExec("host", "flock", ["-n", lock, "true"])).code !== 0);
      const run = async (name: string, ...args: readonly string[]) =>
        (await network.tryExec("host", "env", [`XTABLES_LOCKFILE=${lock}`, name, ...args])).code;
      assert.equal(await run(program(backend, 4), "-w", "1", "-A", "INPUT", "-j", "ACCEPT"), backend === "legacy" ? 4 : 0);
      assert.equal(await run(program(backend, 4, "-save"), "-t", "filter"), 0);
      holder.kill("SIGKILL");
    });
  });

  test("the lists' rules of both families may share one name, and then share its entries", async () => {
    await using network = await createNetwork();
    for (const family of [4, 6] as const)
      await iptables(network, backend, family, "-A", "INPUT", "-m", "recent", "--name", "facts", "--rcheck");
    await writeList(network, "facts", "+10.9.0.1\n");
    await writeList(network, "facts", "+2001:db8::5\n");
    assert.deepEqual(await listedAddresses(network, "facts"), ["10.9.0.1", "2001:db8::5"]);
  });
});
