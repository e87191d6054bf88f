import type { Backend, Family } from "../../test/support/kernel.ts";
import { restore } from "../../test/support/kernel.ts";
import { createNetwork, type Network } from "../../test/support/namespaces.ts";
import { startService } from "../../test/support/service.ts";
import { firstPort, putBans, putPolicies } from "../load/state.ts";

/** What the host that is measured has in its packets' way. */
export interface Obstacles {
  readonly policies?: number;
  readonly bans?: number;
  /** The service runs, though it may have nothing to do. */
  readonly service?: boolean;
  /** Rules for `iptables-restore` instead of the service. */
  readonly rules?: readonly string[];
  /** Lines for `ipset restore` before them. */
  readonly sets?: readonly string[];
}

/** What a policy can't do without, and what one more look-up costs, each by itself. */
export const parts = {
  tracking: { rules: ["-A INPUT -p tcp --syn -m connlimit --connlimit-above 1000000 -j DROP"] },
  emptyChain: { rules: [":EMPTY - [0:0]", "-A INPUT -j EMPTY"] },
  lookups: {
    sets: ["create networks hash:net timeout 0", "create addresses hash:ip timeout 0"],
    rules: [
      "-A INPUT -m recent --name listed --rcheck -j DROP",
      "-A INPUT -m set --match-set networks src -j DROP",
      "-A INPUT -p tcp -m set --match-set addresses src -j DROP",
    ],
  },
} as const satisfies Record<string, Obstacles>;

/** The port of one of the policies, where there are any: the traffic goes there. */
export const measuredPort = firstPort + 50;

/** A host with its obstacles, and a client beside it. Ends with the stack that it was made on. */
export async function createHost(stack: AsyncDisposableStack, backend: Backend, obstacles: Obstacles): Promise<Network> {
  const network = stack.use(await createNetwork());
  const { policies = 0, bans = 0, service = policies + bans > 0, rules, sets } = obstacles;
  if (sets !== undefined) await network.exec("host", "ipset", ["restore"], `${sets.join("\n")}\n`);
  if (rules !== undefined) await restore(network, backend, 4, rules);
  if (!service) return network;
  const running = stack.use(
    await startService({ network, backend, readyTimeout: 30_000, env: { CONNLIMITD_LOG_LEVEL: "warn" } }),
  );
  await putPolicies(running, policies);
  await putBans(running, 0, bans);
  return network;
}

/** The pair of rules that everybody knows, once for each of `count` services. */
export function classicRules(count: number, family: Family = 4): readonly string[] {
  const reject = `-j REJECT --reject-with ${family === 4 ? "icmp-port-unreachable" : "icmp6-port-unreachable"}`;
  return Array.from({ length: count }, (_, n) => [
    `-A INPUT -p tcp -m recent --name classic${n} --rcheck --seconds 60 ${reject}`,
    `-A INPUT -p tcp --dport ${firstPort + n} -m connlimit --connlimit-above 1000000 -m recent --name classic${n} --set ${reject}`,
  ]).flat();
}
