import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { createDirectory } from "../../test/support/directories.ts";
import { createNetwork } from "../../test/support/namespaces.ts";
import type { Bench } from "../harness/bench.ts";
import { finding } from "../harness/finding.ts";
import { alternate } from "../harness/rounds.ts";

const [page, writes] = [4096, 20];
/** Prints the seconds that one reading of both tables takes. */
const lookScript = `$begun = time; for (1..${writes}) { for $f (qw(/proc/net/tcp /proc/net/tcp6)) { open F, "<", $f; 1 while sysread F, $b, 65536; close F } } print +(time - $begun) / ${writes}`;

/** What no write of a ban can do without: a page that is on the disk, a program that tells the kernel, and a look at who is connected. */
export const bareWrite: Bench = {
  name: "api/bare-write",
  once: true,
  async run({ rounds }) {
    await using network = await createNetwork();
    const directory = await createDirectory();
    await network.exec("host", "ipset", ["create", "bench", "hash:net", "timeout", "0"]);
    const fsync = async (): Promise<number> => {
      const descriptor = openSync(join(directory.path, "pages"), "a");
      const begun = performance.now();
      for (let number = 0; number < writes; number += 1) {
        writeSync(descriptor, Buffer.alloc(page));
        fdatasyncSync(descriptor);
      }
      const time = (performance.now() - begun) / writes;
      closeSync(descriptor);
      return time;
    };
    const restoreScript = `begun=\${EPOCHREALTIME/[.,]/}; for n in {1..${writes}}; do ipset restore -exist <<< "add bench 11.0.0.$n timeout 60"; done; echo $((\${EPOCHREALTIME/[.,]/} - begun))`;
    const restore = async (): Promise<number> =>
      Number(await network.exec("host", "bash", ["-c", restoreScript])) / writes / 1000;
    const look = async (): Promise<number> =>
      Number(await network.exec("host", "perl", ["-MTime::HiRes=time", "-e", lookScript])) * 1000;
    const figures = await alternate(rounds, { fsync, restore, look });
    directory.remove();
    const row = { backend: "", unit: "ms", raw: figures } as const;
    return [
      finding({ ...row, work: "fdatasync of one page, where temporary files are" }, figures.fsync),
      finding({ ...row, work: "ipset restore of one ban, from a shell" }, figures.restore),
      finding({ ...row, work: "a reading of /proc/net/tcp and /proc/net/tcp6 of a host without connections" }, figures.look),
    ];
  },
};
