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

const count = "-A INPUT -p tcp --syn -m connlimit --connlimit-above 1000000 -j DROP";
const sets = ["create networks hash:net timeout 0", "create addresses hash:ip timeout 0"];
const lookups = [
  "-A INPUT -m recent --name listed --rcheck -j DROP",
  "-A INPUT -m set --match-set networks src -j DROP",
  "-A INPUT -p tcp -m set --match-set addresses src -j DROP",
];

/** What a policy with bans can't do without, by hand: its parts each by itself, and all of it. */
export const parts = {
  tracking: { rules: [count] },
  lookups: { sets, rules: lookups },
  least: { sets, rules: [...lookups, count] },
} as const satisfies Record<string, Obstacles>;

/** Of these, so many rounds for one of others: they are short, and noisy. */
export const roundsOfPackets = 2;

/** The port of one of the policies, where there are any: the traffic goes there. */
export const measuredPort = firstPort + 50;

/** A host that is measured, and a client beside it. */
export interface MeasuredHost {
  readonly network: Network;
  /** Stops its service in whatever it does: the rules stay, and nothing looks at them. */
  halt(): void;
  /** Lets it go on. */
  resume(): void;
}

/** A host with its obstacles. Ends with the stack that it was made on. */
export async function createHost(stack: AsyncDisposableStack, backend: Backend, obstacles: Obstacles): Promise<MeasuredHost> {
  const network = stack.use(await createNetwork());
  const { policies = 0, bans = 0, service = policies + bans > 0, rules } = obstacles;
  if (obstacles.sets !== undefined) await network.exec("host", "ipset", ["restore"], `${obstacles.sets.join("\n")}\n`);
  if (rules !== undefined) await restore(network, backend, 4, rules);
  if (!service) return { network, halt: () => undefined, resume: () => undefined };
  const running = stack.use(
    await startService({ network, backend, readyTimeout: 30_000, env: { CONNLIMITD_LOG_LEVEL: "warn" } }),
  );
  await putPolicies(running, policies);
  await putBans(running, 0, bans);
  const signal = (name: NodeJS.Signals) => (): void => void process.kill(running.pid(), name);
  const resume = signal("SIGCONT");
  // One that is halted can't be asked to end.
  stack.defer(resume);
  return { network, halt: signal("SIGSTOP"), resume };
}

/** The pair of rules that everybody knows, once for each of `count` services. */
export function classicRules(count: number, family: Family = 4): readonly string[] {
  const reject = `-j REJECT --reject-with ${family === 4 ? "icmp-port-unreachable" : "icmp6-port-unreachable"}`;
  return Array.from({ length: count }, (_, n) => [
    `-A INPUT -p tcp -m recent --name classic${n} --rcheck --seconds 60 ${reject}`,
    `-A INPUT -p tcp --dport ${firstPort + n} -m connlimit --connlimit-above 1000000 -m recent --name classic${n} --set ${reject}`,
  ]).flat();
}
