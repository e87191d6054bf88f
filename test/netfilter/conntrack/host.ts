import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { endianness, tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import { parseAddress } from "../../../src/domain/network.ts";
import type { CommandResult, RunCommand } from "../../../src/netfilter/command/run.ts";
import { createConntrack } from "../../../src/netfilter/conntrack/connections.ts";
import type { FilteredDump } from "../../../src/netfilter/conntrack/filtered-dump.ts";

/** Of the test file that uses it. */
export const directory = mkdtempSync(join(tmpdir(), "connlimitd-conntrack-"));
after(() => rmSync(directory, { recursive: true }));
export const here = { 4: "192.0.2.1", 6: "2001:db8::1" } as const;

export function line(
  source: string,
  more: { readonly to?: string; readonly port?: number; readonly state?: string } = {},
): string {
  const { to = source.includes(":") ? here[6] : here[4], port = 3306, state = "ESTABLISHED" } = more;
  const [family, number] = source.includes(":") ? ["ipv6", 10] : ["ipv4", 2];
  const there = `src=${source} dst=${to} sport=40000 dport=${port}`;
  return `${family}     ${number} tcp      6 431999 ${state} ${there} src=${to} dst=${source} sport=${port} dport=40000 [ASSURED] mark=0 zone=0 use=2\n`;
}

/** An address as the kernel's table prints it. */
export function inFull(address: string): string {
  if (!address.includes(":")) return address;
  const { bytes } = parseAddress(address);
  const hexadecimal = bytes.map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hexadecimal.match(/.{4}/g)?.join(":") ?? "";
}

/** A connected socket as /proc/net/tcp prints it on a host of either byte order. */
export function socket(source: string, port = 3306): string {
  const bytes = source.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0").toUpperCase());
  const peer = (endianness() === "BE" ? bytes : bytes.toReversed()).join("");
  return `   0: 010200C0:${port.toString(16).padStart(4, "0").toUpperCase()} ${peer}:9C40 01 00000000:00000000 00:00000000 00000000 0 0 1\n`;
}

/** Servers of this host that wait for connections to MySQL and to SSH. */
const listening = ["0CEA", "0016"].map(
  (port) => `   0: 00000000:${port} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1\n`,
);

interface HostOptions {
  readonly answers?: Readonly<Record<string, Partial<CommandResult>>>;
  readonly sockets?: readonly string[];
  /** What the kernel tells of how many connections it tracks; "gone": it does not; null: it tracks none ever, and has no table. */
  readonly count?: string | null;
  readonly dump?: FilteredDump;
}

export function createHost(lines: readonly string[], { answers = {}, sockets = [], count = "1\n", dump }: HostOptions = {}) {
  const file = join(directory, "nf_conntrack");
  const socketFile = join(directory, "tcp");
  writeFileSync(file, lines.join(""));
  writeFileSync(socketFile, `  sl  local_address rem_address   st\n${listening.join("")}${sockets.join("")}`);
  const countFile = join(directory, "count");
  rmSync(countFile, { force: true });
  if (count === null) rmSync(file);
  else if (count !== "gone") writeFileSync(countFile, count);
  const statisticsFile = join(directory, "snmp");
  const opens = (active: number, passive: number): void =>
    writeFileSync(statisticsFile, `Ip: Forwarding\nIp: 1\nTcp: RtoMin ActiveOpens PassiveOpens\nTcp: 200 ${active} ${passive}\n`);
  opens(1, 1);
  const calls: string[] = [];
  const run: RunCommand = async (program, args) => {
    calls.push([program, ...args].join(" "));
    return { exitCode: 0, stdout: "", stderr: "", ...answers[program] };
  };
  const conntrack = createConntrack({
    run,
    ...(dump !== undefined && { dump }),
    file,
    countFile,
    statisticsFile,
    socketFiles: [socketFile, join(directory, "absent")],
    localAddresses: () => [here[4], here[6], "fe80::1"],
  });
  const visited: (readonly [string, number])[] = [];
  return {
    calls,
    visited,
    conntrack,
    opens,
    setSockets: (...open: readonly string[]) =>
      writeFileSync(socketFile, `  sl  local_address rem_address   st\n${listening.join("")}${open.join("")}`),
    scan: async () => {
      await conntrack.scan((source, port) => visited.push([source, port]));
      return visited;
    },
  };
}
