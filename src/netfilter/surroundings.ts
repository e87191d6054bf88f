import { readdirSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { formatNetwork, parseAddress } from "../domain/network.ts";
import type { HostAccess, Surroundings } from "../domain/ports.ts";
import type { Conntrack } from "./conntrack/connections.ts";
import { createSharedRun } from "./shared-run.ts";

export interface SurroundingsOptions {
  readonly connections: Pick<Conntrack, "scanSockets" | "scanRecentSockets">;
  /** `/proc/net`, or a stand-in for it. */
  readonly procNet?: string;
  /** `/etc/ssh`, or a stand-in for it. */
  readonly sshDirectory?: string;
}

/** Who must not be shut out of this host. All addresses are canonical. */
export interface HostSurroundings extends Surroundings {
  gateways(): readonly string[];
  ownAddresses(): readonly string[];
  /** The ports on which sshd is set to listen. */
  sshPorts(): readonly number[];
}

const defaultSshPort = 22;
/** RTF_GATEWAY of linux/route.h. */
const throughGateway = 0x2;

export function createSurroundings({
  connections,
  procNet = "/proc/net",
  sshDirectory = "/etc/ssh",
}: SurroundingsOptions): HostSurroundings {
  const sshPorts = (): readonly number[] => {
    const files = [`${sshDirectory}/sshd_config`, ...namesIn(`${sshDirectory}/sshd_config.d`)];
    const set = files.flatMap((file) => (textOf(file) ?? "").split("\n").flatMap(portOf));
    return set.length === 0 ? [defaultSshPort] : [...new Set(set)];
  };
  const gateways = (): readonly string[] => [
    ...gatewaysOfIPv4(textOf(`${procNet}/route`) ?? ""),
    ...gatewaysOfIPv6(textOf(`${procNet}/ipv6_route`) ?? ""),
  ];
  const ownAddresses = (): readonly string[] => {
    const addresses = Object.values(networkInterfaces()).flatMap((found) =>
      (found ?? []).map(({ address }) => address.replace(/%.*$/, "")),
    );
    return [...new Set(addresses.map(canonical))];
  };
  const accessBy = async (scan: Conntrack["scanSockets"]): Promise<HostAccess> => {
    const ports = sshPorts();
    const clients = new Set<string>();
    await scan((source, port) => {
      if (ports.includes(port)) clients.add(source);
    });
    return { gateways: gateways(), ownAddresses: ownAddresses(), sshClients: [...clients], sshPorts: ports };
  };
  return {
    gateways,
    ownAddresses,
    sshPorts,
    look: createSharedRun(() => accessBy(connections.scanSockets)),
    recentLook: createSharedRun(() => accessBy(connections.scanRecentSockets)),
  };
}

/** The port that a line of sshd_config(5) names: `Port 22`, `Port=22`, `ListenAddress [::]:22`. */
function portOf(line: string): readonly number[] {
  const [, keyword = "", value = ""] = /^\s*(Port|ListenAddress)(?:\s*=\s*|\s+)"?([^\s"#]+)/i.exec(line) ?? [];
  const [, port] = (keyword.toLowerCase() === "port" ? /^(\d{1,5})$/ : /^(?:\[[^\]]*\]|[^:[\]]+):(\d{1,5})$/).exec(value) ?? [];
  return port === undefined ? [] : [Number(port)];
}

/** Columns: Iface Destination Gateway Flags RefCnt Use Metric Mask ...; addresses are hexadecimal in the host's byte order. */
export function gatewaysOfIPv4(table: string): readonly string[] {
  return table.split("\n").flatMap((line) => {
    const [, destination, gateway = "", flags = "", , , , mask] = line.trim().split(/\s+/);
    if (destination !== "00000000" || mask !== "00000000" || (Number.parseInt(flags, 16) & throughGateway) === 0) return [];
    return [[6, 4, 2, 0].map((at) => Number.parseInt(gateway.slice(at, at + 2), 16)).join(".")];
  });
}

/** Columns: destination, its prefix length, source, its prefix length, next hop, metric, ...; flags are the ninth. */
export function gatewaysOfIPv6(table: string): readonly string[] {
  return table.split("\n").flatMap((line) => {
    const [destination, length, , , gateway = "", , , , flags = ""] = line.trim().split(/\s+/);
    if (!/^0{32}$/.test(destination ?? "") || length !== "00" || (Number.parseInt(flags, 16) & throughGateway) === 0) return [];
    return [canonical(gateway.replace(/(.{4})(?!$)/g, "$1:"))];
  });
}

function canonical(address: string): string {
  return formatNetwork(parseAddress(address));
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
      .filter((name) => name.endsWith(".conf"))
      .map((name) => `${directory}/${name}`);
  } catch {
    return [];
  }
}
