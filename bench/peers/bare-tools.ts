import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createDirectory } from "../../test/support/directories.ts";
import { restore } from "../../test/support/kernel.ts";
import { createNetwork } from "../../test/support/namespaces.ts";
import { bannedAddress } from "../load/state.ts";
import { classicRules } from "../packets/hosts.ts";
import type { Peer } from "./peer.ts";

interface BareTool {
  readonly name: string;
  readonly program: string;
  /** Shell commands: before, for each ban of `$address`, and one that prints how many there are. */
  readonly prepare: string;
  readonly ban: string;
  readonly count: string;
}

const list = "/proc/net/xt_recent/classic0";

/** The program itself, once for each ban, from a shell: nothing is written down anywhere. */
export const bareTools: readonly Peer[] = (
  [
    {
      name: "the classic rules, a write to their list",
      program: "iptables",
      prepare: ":",
      ban: `echo +$address > ${list}`,
      count: `wc -l < ${list}`,
    },
    {
      name: "ipset add",
      program: "ipset",
      prepare: "ipset create bench hash:net timeout 0 maxelem 262144",
      ban: "ipset add bench $address timeout 86400",
      count: "ipset save | grep -c ^add",
    },
    {
      name: "nft add element",
      program: "nft",
      prepare: "nft add table inet bench; nft 'add set inet bench bans { type ipv4_addr; flags timeout; }'",
      ban: 'nft add element inet bench bans "{ $address timeout 1d }"',
      count: "nft list set inet bench bans | grep -o 'expires' | wc -l",
    },
  ] satisfies readonly BareTool[]
).map(({ name, program, prepare, ban, count }) => ({
  name,
  program,
  async measure(bans) {
    await using network = await createNetwork();
    await restore(network, "nft", 4, classicRules(1));
    const directory = await createDirectory();
    const addresses = join(directory.path, "addresses");
    await writeFile(addresses, Array.from({ length: bans }, (_, number) => `${bannedAddress(number)}\n`).join(""));
    await network.exec("host", "sh", ["-ec", prepare]);
    const begun = performance.now();
    await network.exec("host", "sh", ["-ec", `while read -r address; do ${ban}; done < ${addresses}`]);
    const seconds = (performance.now() - begun) / 1000;
    const inKernel = Number(await network.exec("host", "sh", ["-ec", count]));
    directory.remove();
    return { seconds, acknowledged: bans, inKernel };
  },
}));
