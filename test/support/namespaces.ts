import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { type CommandResult, killCommands, runCommand } from "./command-runner.ts";
import { eventually } from "./eventually.ts";
import { removeAtExit } from "./leftovers.ts";

/** "host" runs the service and the servers, "client" owns many source addresses. */
export type Side = "host" | "client";

/** The host's addresses on the wire to the client. */
export const hostAddresses = { 4: "192.0.2.1", 6: "2001:db8::1" } as const;
const clientAddresses = { 4: "192.0.2.2", 6: "2001:db8::2" } as const;
const addresses = { host: hostAddresses, client: clientAddresses } as const;
const sides = ["host", "client"] as const;

/** Networks of which the client may use every address as a source. */
export const sourceNetworks = ["10.9.0.0/16", "2001:db8:9::/48"] as const;

/** Two network namespaces joined by a veth pair, with IPv4 and IPv6, and what runs in them. */
export interface Network {
  /** The namespaces' names, as `ip netns exec` takes them. */
  readonly names: Readonly<Record<Side, string>>;
  /** Runs a command in a namespace; resolves with what it wrote to stdout. @throws {Error} when it does not exit with 0 */
  exec(side: Side, command: string, args?: readonly string[], input?: string): Promise<string>;
  /** The same, but an exit code other than 0 is a result like any other. */
  tryExec(side: Side, command: string, args?: readonly string[], input?: string): Promise<CommandResult>;
  /** Starts a process in a namespace; it dies with the network at the latest. */
  spawn(side: Side, command: string, args: readonly string[], options: SpawnOptions): ChildProcess;
  /** Lets the client use further addresses or networks as sources. */
  addSources(networks: readonly string[]): Promise<void>;
  /** Kills what still runs in it and removes the namespaces. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const namespaceSettings = [
  "net/ipv4/conf/all/rp_filter=0",
  "net/ipv4/icmp_ratelimit=0",
  "net/ipv4/ip_nonlocal_bind=1",
  "net/ipv6/conf/all/disable_ipv6=0",
  "net/ipv6/conf/default/disable_ipv6=0",
  "net/ipv6/conf/all/accept_dad=0",
  "net/ipv6/conf/default/accept_dad=0",
  "net/ipv6/conf/default/dad_transmits=0",
  "net/ipv6/conf/link0/accept_dad=0",
  "net/ipv6/conf/link0/dad_transmits=0",
  "net/ipv6/icmp/ratelimit=0",
  "net/ipv6/ip_nonlocal_bind=1",
];

/** How a side reaches a network of which the client may use every address. */
const routes: Readonly<Record<Side, (network: string) => string>> = {
  host: (network) => `route add ${network} via ${clientAddresses[network.includes(":") ? 6 : 4]}`,
  client: (network) => `route add local ${network} dev lo`,
};

/** The namespace from which the two get the size of their tables while they are made. */
function parentOf({ host }: Network["names"]): string {
  return `${host}-parent`;
}

let created = 0;

/** How a network is to be. */
export interface NetworkOptions {
  /**
   * The slots of its table of sockets, a power of 2; by default it shares the machine's, which has hundreds of thousands, so that each
   * look at /proc/net/tcp takes milliseconds. Kernels before 6.1 know only that one.
   */
  readonly socketSlots?: number;
}

/** Builds the two namespaces and resolves once a packet really gets through in both families. */
export async function createNetwork({ socketSlots = 0 }: NetworkOptions = {}): Promise<Network> {
  created += 1;
  const prefix = `cld-${process.pid}-${created}`;
  const network = networkOf({ host: `${prefix}-host`, client: `${prefix}-client` });
  try {
    await build(network, socketSlots);
    await untilReachable(network);
    return network;
  } catch (error) {
    await network.dispose();
    throw error;
  }
}

function networkOf(names: Readonly<Record<Side, string>>): Network {
  const children = new Set<ChildProcess>();
  const removeNow = (): void => {
    for (const child of children) child.kill("SIGKILL");
    for (const name of [...Object.values(names), parentOf(names)])
      spawnSync("ip", ["netns", "delete", name], { stdio: "ignore" });
  };
  const takeBack = removeAtExit(removeNow);

  const start = (side: Side, command: string, args: readonly string[], options: SpawnOptions): ChildProcess => {
    // Should this process be killed without a chance to clean up, the kernel kills the child.
    const dyingWithUs = ["setpriv", "--pdeathsig", "KILL", "--", command, ...args];
    const child = spawn("ip", ["netns", "exec", names[side], ...dyingWithUs], options);
    children.add(child);
    child.once("close", () => children.delete(child));
    return child;
  };
  const commands = new Set<Promise<CommandResult>>();
  const tryExec: Network["tryExec"] = (side, program, args = [], input = "") => {
    const result = runCommand({ namespace: names[side], program, args, input });
    commands.add(result);
    const forget = () => commands.delete(result);
    result.then(forget, forget);
    return result;
  };
  const dispose = async (): Promise<void> => {
    if (!takeBack()) return;
    for (const name of Object.values(names)) killCommands(name);
    await Promise.all([
      ...[...children].map((child) => new Promise((resolve) => child.once("close", resolve) && child.kill("SIGKILL"))),
      Promise.allSettled(commands),
    ]);
    await batch(
      "",
      Object.values(names).map((name) => `netns delete ${name}`),
    );
  };
  return {
    names,
    spawn: start,
    tryExec,
    async exec(side, command, args = [], input = "") {
      const result = await tryExec(side, command, args, input);
      if (result.code === 0) return result.stdout;
      throw new Error(`${command} ${args.join(" ")} in ${side} exited with ${result.code}: ${result.stderr}${result.stdout}`);
    },
    async addSources(networks) {
      await Promise.all(
        sides.map((side) =>
          batch(
            names[side],
            networks.map((to) => routes[side](to)),
          ),
        ),
      );
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

async function build(network: Network, socketSlots: number): Promise<void> {
  const { host, client } = network.names;
  const parent = parentOf(network.names);
  await batch("", [`netns add ${parent}`]);
  const set = `echo ${socketSlots} 2>/dev/null >/proc/sys/net/ipv4/tcp_child_ehash_entries || :`;
  const making = [
    `netns add ${host}`,
    `netns add ${client}`,
    `link add link0 netns ${host} type veth peer name link0 netns ${client}`,
  ];
  const input = [`trap 'ip netns delete ${parent}' EXIT`, set, "ip -batch - <<end", ...making, "end"].join("\n");
  const made = await runCommand({ namespace: parent, program: "sh", args: ["-e"], input });
  if (made.code !== 0) throw new Error(`the namespaces can't be made: ${made.stderr}`);
  const writes = namespaceSettings.map((setting) => setting.replace(/^(.*)=(.*)$/, "echo $2 > /proc/sys/$1"));
  await Promise.all(
    sides.map((side) => {
      const lines = [
        `address add ${addresses[side][4]}/24 dev link0`,
        `address add ${addresses[side][6]}/64 dev link0 nodad`,
        "link set lo up",
        "link set link0 up",
        ...sourceNetworks.map((to) => routes[side](to)),
      ];
      return network.exec(side, "sh", ["-e"], [...writes, "exec ip -batch - <<end", ...lines, "end"].join("\n"));
    }),
  );
}

/** A link that is up does not mean that IPv6 works yet: asks for a connection until the other side answers with a reset. */
async function untilReachable(network: Network): Promise<void> {
  const ask = Object.values(hostAddresses).map((address) => `: < /dev/tcp/${address}/9`);
  await eventually(
    "the client reaches the host over IPv4 and IPv6",
    async () => {
      const { stderr } = await network.tryExec("client", "timeout", ["1", "bash", "-c", ask.join("; ")]);
      return stderr.match(/\/9: Connection refused/g)?.length === ask.length;
    },
    { within: 20_000 },
  );
}

/** Several commands of `ip` in one process; `namespace` empty: outside of all networks. */
async function batch(namespace: string, lines: readonly string[]): Promise<void> {
  const { code, stderr } = await runCommand({ namespace, program: "ip", args: ["-batch", "-"], input: lines.join("\n") });
  if (code !== 0) throw new Error(`ip exited with ${code} at one of ${lines.join("; ")}: ${stderr}`);
}
