import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { databaseFile } from "../../src/store/database.ts";
import { openStore } from "../../src/store/store.ts";
import { createDirectory } from "../../test/support/directories.ts";
import { createNetwork } from "../../test/support/namespaces.ts";
import type { Bench } from "../harness/bench.ts";
import { finding } from "../harness/finding.ts";
import { alternate } from "../harness/rounds.ts";

const [page, writes] = [4096, 20];
/** Prints the seconds that one reading of both tables takes. */
const lookScript = `$begun = time; for (1..${writes}) { for $f (qw(/proc/net/tcp /proc/net/tcp6)) { open F, "<", $f; 1 while sysread F, $b, 65536; close F } } print +(time - $begun) / ${writes}`;

/** Bans that go together where 32 callers write them. */
const together = 32;

/** What no write of a ban can do without: a page that is on the disk, rows, a program that tells the kernel, and a look at who is connected. */
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
    const rows = rowWriter(directory.path);
    const addScript = `lines=$(for n in {1..${writes}}; do for m in {1..${together}}; do echo "add bench 11.0.$n.$m timeout 60"; done; done)
      begun=\${EPOCHREALTIME/[.,]/}; ipset restore -exist <<< "add bench 11.0.0.1 timeout 60"; one=\${EPOCHREALTIME/[.,]/}
      ipset restore -exist <<< "$lines"; echo $((\${EPOCHREALTIME/[.,]/} - one - (one - begun)))`;
    const add = async (): Promise<number> => Number(await network.exec("host", "bash", ["-c", addScript])) / writes / together;
    const restoreScript = `begun=\${EPOCHREALTIME/[.,]/}; for n in {1..${writes}}; do ipset restore -exist <<< "add bench 11.0.0.$n timeout 60"; done; echo $((\${EPOCHREALTIME/[.,]/} - begun))`;
    const restore = async (): Promise<number> =>
      Number(await network.exec("host", "bash", ["-c", restoreScript])) / writes / 1000;
    const look = async (): Promise<number> =>
      Number(await network.exec("host", "perl", ["-MTime::HiRes=time", "-e", lookScript])) * 1000;
    const figures = await alternate(rounds, { fsync, rows: rows.write, add, restore, look });
    rows.close();
    directory.remove();
    const row = { backend: "", unit: "ms", raw: figures } as const;
    return [
      finding({ ...row, work: "fdatasync of one page, where temporary files are" }, figures.fsync),
      finding(
        { ...row, unit: "us", work: `rows of a ban and of its audit, ${together} in one commit, by SQLite alone: each` },
        figures.rows,
      ),
      finding(
        { ...row, unit: "us", work: `ipset restore of ${writes * together} bans, but for the start of the program: each` },
        figures.add,
      ),
      finding({ ...row, work: "ipset restore of one ban, from a shell" }, figures.restore),
      finding({ ...row, work: "a reading of /proc/net/tcp and /proc/net/tcp6 of a host without connections" }, figures.look),
    ];
  },
};

/** Writes what the service stores for a ban, without the service: microseconds for each. */
function rowWriter(stateDirectory: string): { readonly write: () => Promise<number>; readonly close: () => void } {
  openStore({ stateDirectory }).close();
  const database = new DatabaseSync(databaseFile(stateDirectory));
  database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY");
  const ban = database.prepare("INSERT OR REPLACE INTO operator_bans VALUES (?, ?, ?, ?, ?)");
  const audit = database.prepare(
    "INSERT INTO audit (at, outcome, action, actor, resource, request_id, revision_before, revision_after, content_after) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
  );
  let number = 0;
  const putOne = (): void => {
    number += 1;
    const now = Date.now();
    const address = `11.0.${(number >> 8) & 255}.${number & 255}`;
    const content = JSON.stringify({ address, actor: "admin", reason: "scanner, OPS-123", since: now, expiresAt: now });
    ban.run(address, "admin", "scanner, OPS-123", now, now + 86_400_000);
    audit.run(now, "changed", "ban.put", "admin", `bans/${address}`, `req-${number}`, number, number + 1, content);
  };
  return {
    write: async () => {
      const begun = performance.now();
      for (let commit = 0; commit < writes; commit += 1) {
        database.exec("BEGIN IMMEDIATE");
        for (let one = 0; one < together; one += 1) putOne();
        database.exec("COMMIT");
      }
      return ((performance.now() - begun) * 1000) / writes / together;
    },
    close: () => database.close(),
  };
}
