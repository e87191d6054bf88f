import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { type CommandResult, killCommands, runCommand } from "./command-runner.ts";
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

/** Of both, before they have a link. */
const namespaceSettings = [
  "net/ipv4/conf/all/rp_filter=0",
  "net/ipv4/icmp_ratelimit=0",
  "net/ipv4/ip_nonlocal_bind=1",
  "net/ipv6/conf/all/disable_ipv6=0",
  "net/ipv6/conf/default/disable_ipv6=0",
  "net/ipv6/conf/all/accept_dad=0",
  "net/ipv6/conf/default/accept_dad=0",
  "net/ipv6/conf/default/dad_transmits=0",
  "net/ipv6/icmp/ratelimit=0",
  "net/ipv6/ip_nonlocal_bind=1",
];

/** How a side reaches a network of which the client may use every address. */
const routes: Readonly<Record<Side, (network: string) => string>> = {
  host: (network) => `route add ${network} via ${clientAddresses[network.includes(":") ? 6 : 4]}`,
  client: (network) => `route add local ${network} dev lo`,
};

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
    await build(network.names, socketSlots);
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
    for (const name of Object.values(names)) spawnSync("ip", ["netns", "delete", name], { stdio: "ignore" });
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
    await run("", "remove-namespaces", Object.values(names));
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
        sides.map((side) => run(names[side], "ip", ["-batch", "-"], networks.map((to) => routes[side](to)).join("\n"))),
      );
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

async function build({ host, client }: Network["names"], socketSlots: number): Promise<void> {
  const lines = (side: Side): string =>
    [
      `address add ${addresses[side][4]}/24 dev link0`,
      `address add ${addresses[side][6]}/64 dev link0 nodad`,
      "link set lo up",
      "link set link0 up",
      ...sourceNetworks.map((to) => routes[side](to)),
    ].join("\n");
  // With the same index at both ends the kernel would take its time, up to a second, to notice that they are up.
  const link = `link add link0 index 10 type veth peer name link0 index 11 netns ${client}`;
  const ends = [host, `${link}\n${lines("host")}`, client, lines("client")];
  await run("", "make-network", [String(socketSlots), namespaceSettings.join("\n"), ...ends, ...Object.values(hostAddresses)]);
}

/** `namespace` empty: outside of all networks. */
async function run(namespace: string, program: string, args: readonly string[], input = ""): Promise<void> {
  const { code, stderr } = await runCommand({ namespace, program, args, input });
  if (code !== 0) throw new Error(`${program} exited with ${code} at ${[...args, input].join("\n")}: ${stderr}`);
}
