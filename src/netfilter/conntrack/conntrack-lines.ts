import type { Network } from "../../domain/network.ts";

/** One TCP connection of the kernel's connection tracking, addresses as whoever told of it writes them. */
export interface TrackedConnection {
  /** Who opened it. */
  readonly source: string;
  /** Where it ended up, after any address translation. */
  readonly destination: string;
  readonly port: number;
}

/** connlimit counts a connection in any state but these. */
const closedStates = new Set(["TIME_WAIT", "CLOSE"]);

/**
 * Reads one line of /proc/net/nf_conntrack; undefined for anything but an open TCP connection. The destination comes from the
 * reply's direction, where translation is already done.
 */
export function parseConntrackLine(line: string): TrackedConnection | undefined {
  const tcp = line.indexOf(" tcp ");
  if (tcp < 0 || tcp > 16) return undefined;
  const source = line.indexOf(" src=");
  const reply = line.indexOf(" src=", source + 5);
  if (source < 0 || reply < 0) return undefined;
  const state = line.slice(line.lastIndexOf(" ", source - 1) + 1, source);
  if (closedStates.has(state)) return undefined;
  const port = line.indexOf(" sport=", reply);
  if (port < 0) return undefined;
  return {
    source: wordAt(line, source + 5),
    destination: wordAt(line, reply + 5),
    port: Number(wordAt(line, port + 7)),
  };
}

/** What stands in each line of a connection from there, if in others too. The kernel prints addresses in full, IPv6 in hexadecimal with all zeros. */
export function sourceText({ family, bytes, prefix }: Network): string {
  const hexadecimal = bytes.map((byte) => byte.toString(16).padStart(2, "0"));
  const groups =
    family === 4 ? bytes.map(String) : hexadecimal.flatMap((byte, at) => (at % 2 === 0 ? [`${byte}${hexadecimal[at + 1]}`] : []));
  const whole = groups.slice(0, Math.floor(prefix / (family === 4 ? 8 : 16)));
  const separator = family === 4 ? "." : ":";
  return whole.length === groups.length
    ? ` src=${whole.join(separator)} `
    : ` src=${whole.map((group) => group + separator).join("")}`;
}

function wordAt(line: string, start: number): string {
  return line.slice(start, line.indexOf(" ", start));
}
