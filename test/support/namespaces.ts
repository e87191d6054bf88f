import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { eventually } from "./eventually.ts";
import { removeAtExit } from "./leftovers.ts";

/** "host" runs the service and the servers, "client" owns many source addresses. */
export type Side = "host" | "client";

/** The host's addresses on the wire to the client. */
export const hostAddresses = { 4: "192.0.2.1", 6: "2001:db8::1" } as const;
const clientAddresses = { 4: "192.0.2.2", 6: "2001:db8::2" } as const;

/** Networks of which the client may use every address as a source. */
export const sourceNetworks = ["10.9.0.0/16", "2001:db8:9::/48"] as const;

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

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
  "net/ipv6/icmp/ratelimit=0",
  "net/ipv6/ip_nonlocal_bind=1",
];

let created = 0;

/** Builds the two namespaces and resolves once a packet really gets through in both families. */
export async function createNetwork(): Promise<Network> {
  created += 1;
  const prefix = `cld-${process.pid}-${created}`;
  const network = networkOf({ host: `${prefix}-host`, client: `${prefix}-client` });
  try {
    await build(network);
    await Promise.all(([4, 6] as const).map((family) => untilReachable(network, family)));
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
  const tryExec: Network["tryExec"] = (side, command, args = [], input = "") =>
    outcomeOf(start(side, command, args, { env: { ...process.env, LC_ALL: "C" }, timeout: 30_000 }), input);
  const dispose = async (): Promise<void> => {
    if (!takeBack()) return;
    await Promise.all(
      [...children].map((child) => new Promise((resolve) => child.once("close", resolve) && child.kill("SIGKILL"))),
    );
    for (const name of Object.values(names)) await runIp(["netns", "delete", name]);
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
      await runIp(
        ["-n", names.host, "-batch", "-"],
        networks.map((to) => `route add ${to} via ${gatewayTo(to)}`),
      );
      await runIp(
        ["-n", names.client, "-batch", "-"],
        networks.map((to) => `route add local ${to} dev lo`),
      );
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

async function build(network: Network): Promise<void> {
  const { host, client } = network.names;
  const sides = ["host", "client"] as const;
  for (const side of sides) await runIp(["netns", "add", network.names[side]]);
  const writeSettings = namespaceSettings.map((setting) => setting.replace(/^(.*)=(.*)$/, "echo $2 > /proc/sys/$1")).join("\n");
  await Promise.all(sides.map((side) => network.exec(side, "sh", ["-e"], writeSettings)));
  await runIp(["-n", host, "link", "add", "link0", "type", "veth", "peer", "name", "link0", "netns", client]);
  for (const [side, addresses] of [
    ["host", hostAddresses],
    ["client", clientAddresses],
  ] as const) {
    await runIp(
      ["-n", network.names[side], "-batch", "-"],
      [
        `address add ${addresses[4]}/24 dev link0`,
        `address add ${addresses[6]}/64 dev link0 nodad`,
        "link set lo up",
        "link set link0 up",
      ],
    );
  }
  await network.addSources(sourceNetworks);
}

/** A link that is up does not mean that IPv6 works yet: asks for a connection until the other side answers with a reset. */
async function untilReachable(network: Network, family: 4 | 6): Promise<void> {
  await eventually(
    `the client reaches the host over IPv${family}`,
    async () => {
      const { stderr } = await network.tryExec("client", "timeout", [
        "1",
        "bash",
        "-c",
        `: < /dev/tcp/${hostAddresses[family]}/9`,
      ]);
      return stderr.includes("Connection refused");
    },
    { within: 20_000 },
  );
}

function gatewayTo(address: string): string {
  return clientAddresses[address.includes(":") ? 6 : 4];
}

async function runIp(args: readonly string[], lines: readonly string[] = []): Promise<void> {
  const result = await outcomeOf(spawn("ip", args), lines.join("\n"));
  if (result.code !== 0) throw new Error(`ip ${args.join(" ")} exited with ${result.code}: ${result.stderr}`);
}

function outcomeOf(child: ChildProcess, input: string): Promise<CommandResult> {
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  // A command that does not read its input ends first: EPIPE is no failure of the command.
  child.stdin?.on("error", () => {}).end(input);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}
