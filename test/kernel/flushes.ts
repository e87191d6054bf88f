// The ways in which other tools empty a firewall.
import { type Backend, families, program } from "../support/kernel.ts";
import type { Network } from "../support/namespaces.ts";

/** A way to empty the firewall of a host. */
export interface Flush {
  readonly name: string;
  run(network: Network): Promise<void>;
}

const emptyTable = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n";

/** Every kind of flush that does something on this backend. */
export function flushesOn(backend: Backend, { withoutIpset = false } = {}): readonly Flush[] {
  const both = (args: string) => families.map(({ family }) => `${program(backend, family)} -w 10 ${args}`).join("; ");
  // The service may be quicker than the second command: chains and sets that are in use again stay.
  const flushAndDelete = `${both("-F")}; ${both("-X || true")}`;
  const inShell = (script: string) => async (network: Network) => {
    await network.exec("host", "sh", ["-e"], script);
  };
  const emptyRestore = async (network: Network): Promise<void> => {
    for (const { family } of families) await network.exec("host", program(backend, family, "-restore"), ["-w", "10"], emptyTable);
  };
  const flushes: readonly Flush[] = [
    { name: "iptables -F", run: inShell(both("-F")) },
    { name: "iptables -F and -X", run: inShell(flushAndDelete) },
    { name: "iptables -F of IPv4 alone", run: inShell(`${program(backend, 4)} -w 10 -F`) },
    { name: "an empty restore", run: emptyRestore },
  ];
  const ruleset: Flush = {
    name: "nft flush ruleset",
    run: async (network) => {
      // Where there is no nft, an empty restore is the nearest.
      const hasNft = (await network.tryExec("host", "sh", ["-c", "command -v nft"])).code === 0;
      if (hasNft) await network.exec("host", "nft", ["flush", "ruleset"]);
      else await emptyRestore(network);
    },
  };
  const destroy: Flush = {
    name: "iptables -F and ipset destroy",
    run: inShell(`${flushAndDelete}; ipset destroy || true`),
  };
  return [...flushes, ...(backend === "nft" ? [ruleset] : []), ...(withoutIpset ? [] : [destroy])];
}
