import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createDirectory } from "../../test/support/directories.ts";
import { eventually } from "../../test/support/eventually.ts";
import { readSets } from "../../test/support/kernel.ts";
import { createNetwork } from "../../test/support/namespaces.ts";
import { bannedAddress } from "../load/state.ts";
import type { Peer, PeerResult } from "./peer.ts";

const jail = "bench";
const configuration = `
[${jail}]
enabled = true
backend = polling
filter = bench
logpath = %(dir)s/nothing.log
banaction = iptables-ipset-proto6-allports
bantime = 86400
`;
const filter = "[Definition]\nfailregex = ^never <HOST>$\n";

/** `fail2ban-client set JAIL banip ADDRESS`, once for each, with Debian's own action for ipset. */
export const fail2ban: Peer = {
  name: "fail2ban, banip with an ipset action",
  program: "fail2ban-server",
  async measure(count): Promise<PeerResult> {
    await using network = await createNetwork();
    const directory = await createDirectory();
    const [config, socket] = [join(directory.path, "config"), join(directory.path, "socket")];
    await cp("/etc/fail2ban", config, { recursive: true });
    await writeFile(join(directory.path, "nothing.log"), "");
    await writeFile(join(config, "filter.d", "bench.conf"), filter);
    await writeFile(join(config, "jail.d", "defaults-debian.conf"), "");
    await writeFile(join(config, "jail.local"), configuration.replace("%(dir)s", directory.path));
    await writeFile(join(config, "fail2ban.local"), `[DEFAULT]\ndbfile = ${join(directory.path, "db")}\n`);
    const place = ["-c", config, "-s", socket, "-p", join(directory.path, "pid")];
    const log = ["--logtarget", "STDERR", "--syslogsocket", "auto"];
    network.spawn("host", "fail2ban-server", ["-f", ...place, ...log, "start"], { stdio: "ignore" });
    const ask = (...words: readonly string[]) => network.tryExec("host", "fail2ban-client", [...place, ...words]);
    await eventually("fail2ban has its jail", async () => (await ask("status", jail)).code === 0, { within: 20_000, every: 200 });
    const held = async (): Promise<number> =>
      [...(await readSets(network)).values()].reduce((sum, members) => sum + members.length, 0);
    const begun = performance.now();
    for (let number = 0; number < count; number += 1) {
      const { code, stderr } = await ask("set", jail, "banip", bannedAddress(number));
      if (code !== 0) throw new Error(`fail2ban-client: ${stderr}`);
    }
    // It bans a moment after it has said so.
    let last = -1;
    await eventually(
      "fail2ban bans no more",
      async () => {
        const before = last;
        last = await held();
        return last === before || last >= count;
      },
      { within: 60_000, every: 1100 },
    );
    const seconds = (performance.now() - begun) / 1000;
    const inKernel = await held();
    directory.remove();
    return { seconds, acknowledged: count, inKernel };
  },
};
