import { readFileSync } from "node:fs";
import { isIPv4, isIPv6 } from "node:net";
import { normalize, resolve } from "node:path";
import { compareNetworks, contains, formatNetwork, type Network, parseAddress, parseNetwork } from "./domain/network.ts";

/** Where the API is served. Port 0 is any free port; an IPv6 `host` is without brackets. */
export type Listener =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Paths of PEM files that could be read at the start; with `clientCa`, clients need a certificate of that authority. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | null;
}

const backends = ["auto", "nft", "legacy"] as const;
const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** The settings of one process, validated and frozen. */
export interface Config {
  /** At least one, all different. */
  readonly listeners: readonly Listener[];
  /** Absolute. */
  readonly stateDirectory: string;
  readonly backend: (typeof backends)[number];
  /** Sorted, loopback included, none inside another. */
  readonly protect: readonly Network[];
  readonly logLevel: (typeof logLevels)[number];
  /** The `PATH`: where programs are looked for. */
  readonly searchPath: string;
  /** The lock of the legacy iptables, which reads the same variable. */
  readonly lockFile: string;
  /** For the TCP listeners; never `null` when one of them is reachable from other hosts. */
  readonly tls: TlsFiles | null;
  /** Names and addresses, in lower case, that a request's `Host` may also have. */
  readonly allowedHosts: readonly string[];
}

/** A setting that is wrong. The message is one line that names the variable, what it got and what it takes. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  constructor(variable: string, got: string | undefined, takes: string) {
    super(`${variable}: got ${got === undefined ? "nothing" : JSON.stringify(got.slice(0, 200))}, takes ${takes}`);
  }
}

const defaults = {
  CONNLIMITD_LISTEN: "127.0.0.1:7306",
  CONNLIMITD_STATE_DIR: "/var/lib/connlimitd",
  CONNLIMITD_BACKEND: "auto",
  CONNLIMITD_PROTECT: "127.0.0.0/8,::1/128",
  CONNLIMITD_LOG_LEVEL: "info",
  CONNLIMITD_ALLOWED_HOSTS: "",
} as const;
const tlsVariables = ["CONNLIMITD_TLS_CERT", "CONNLIMITD_TLS_KEY", "CONNLIMITD_TLS_CLIENT_CA"] as const;

/** Every variable that is read. */
export const variables: readonly string[] = [...Object.keys(defaults), ...tlsVariables];

const loopback = ["127.0.0.0/8", "::1/128"].map(parseNetwork);
/** `sun_path` of unix(7) has 108 bytes, the last of which is zero. */
const socketPathBytes = 107;
const hostName = /^(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;
const listenForms = "host:port, [v6]:port or unix:/path, separated by commas";

/**
 * Adds what `.env` in the working directory sets to the environment of this process, without overriding it; no file, no change.
 * @throws {ConfigError} when there is one that can't be read
 */
export function loadDotEnv(path = ".env"): void {
  try {
    process.loadEnvFile(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw new ConfigError(path, codeOf(error), "a file that this user may read");
  }
}

/**
 * Reads the settings from the environment.
 * @throws {ConfigError} for the first one that is wrong
 */
export function loadConfig(environment: Readonly<NodeJS.ProcessEnv>): Config {
  refuseUnknown(environment);
  const textOf = (variable: keyof typeof defaults) => environment[variable] ?? defaults[variable];
  const listeners = readListeners(textOf("CONNLIMITD_LISTEN"));
  const tls = readTls(environment);
  if (tls === null) refuseOpenListeners(listeners, textOf("CONNLIMITD_LISTEN"));
  return Object.freeze({
    listeners,
    stateDirectory: readStateDirectory(textOf("CONNLIMITD_STATE_DIR")),
    backend: readWord("CONNLIMITD_BACKEND", textOf("CONNLIMITD_BACKEND"), backends),
    protect: readProtect(textOf("CONNLIMITD_PROTECT")),
    logLevel: readWord("CONNLIMITD_LOG_LEVEL", textOf("CONNLIMITD_LOG_LEVEL"), logLevels),
    searchPath: environment["PATH"] ?? "",
    lockFile: environment["XTABLES_LOCKFILE"] ?? "/run/xtables.lock",
    tls,
    allowedHosts: readAllowedHosts(textOf("CONNLIMITD_ALLOWED_HOSTS")),
  });
}

function refuseUnknown(environment: Readonly<NodeJS.ProcessEnv>): void {
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith("CONNLIMITD_") || variables.includes(name)) continue;
    const nearest = variables.toSorted((a, b) => editDistance(name, a) - editDistance(name, b))[0];
    throw new ConfigError(name, value, `nothing: there is no such setting; the nearest is ${nearest}`);
  }
}

function readListeners(text: string): readonly Listener[] {
  const seen = new Set<string>();
  const listeners = splitList(text).map((part) => {
    const fail = (reason: string) => new ConfigError("CONNLIMITD_LISTEN", part, `${listenForms}: ${reason}`);
    const listener = part.startsWith("unix:") ? readUnixListener(part.slice(5), fail) : readTcpListener(part, fail);
    const key = JSON.stringify(listener);
    if (seen.has(key)) throw fail("this one is there twice");
    seen.add(key);
    return Object.freeze(listener);
  });
  if (listeners.length === 0) throw new ConfigError("CONNLIMITD_LISTEN", text, listenForms);
  return Object.freeze(listeners);
}

function readUnixListener(path: string, fail: (reason: string) => ConfigError): Listener {
  if (!path.startsWith("/") || path.endsWith("/") || path.includes("\0")) throw fail("the path is absolute and names a file");
  if (Buffer.byteLength(path) > socketPathBytes) throw fail(`the kernel takes paths of up to ${socketPathBytes} bytes`);
  return { kind: "unix", path: normalize(path) };
}

function readTcpListener(part: string, fail: (reason: string) => ConfigError): Listener {
  const [, bracketed, bare, portText = ""] = /^(?:\[([^\]]*)\]|([^:[\]]*)):([^:]*)$/.exec(part) ?? [];
  const port = /^[0-9]{1,5}$/.test(portText) ? Number(portText) : Number.NaN;
  if (bracketed === undefined && bare === undefined) throw fail("an IPv6 address stands in brackets, and a port follows");
  if (!(port <= 65535)) throw fail("the port is a number up to 65535, and 0 is any free one");
  if (bracketed !== undefined) {
    if (!isIPv6(bracketed)) throw fail("in the brackets stands an IPv6 address");
    return { kind: "tcp", host: bracketed.includes("%") ? bracketed : formatNetwork(parseAddress(bracketed)), port };
  }
  if (bare === undefined || !(isIPv4(bare) || hostName.test(bare))) throw fail("the host is a name or an address");
  return { kind: "tcp", host: bare.toLowerCase(), port };
}

function refuseOpenListeners(listeners: readonly Listener[], text: string): void {
  const open = listeners.find((listener) => listener.kind === "tcp" && !isLoopback(listener.host));
  if (open !== undefined) {
    const takes = "loopback addresses and unix:/path only, unless CONNLIMITD_TLS_CERT and CONNLIMITD_TLS_KEY are set";
    throw new ConfigError("CONNLIMITD_LISTEN", text, takes);
  }
}

/** Other names than `localhost` may resolve to anything. */
function isLoopback(host: string): boolean {
  if (!isIPv4(host) && (!isIPv6(host) || host.includes("%"))) return host === "localhost";
  return loopback.some((network) => contains(network, parseAddress(host)));
}

function readTls(environment: Readonly<NodeJS.ProcessEnv>): TlsFiles | null {
  const [cert, key, clientCa] = tlsVariables.map((variable) => readFilePath(variable, environment[variable]));
  if (cert && key) return Object.freeze({ cert, key, clientCa: clientCa ?? null });
  const because = [cert && "CERT", key && "KEY", clientCa && "CLIENT_CA"].find(Boolean);
  if (!because) return null;
  throw new ConfigError(
    `CONNLIMITD_TLS_${cert ? "KEY" : "CERT"}`,
    undefined,
    `the path of a PEM file, as CONNLIMITD_TLS_${because} is set`,
  );
}

function readFilePath(variable: string, path: string | undefined): string | null {
  if (path === undefined) return null;
  try {
    readFileSync(path);
  } catch (error) {
    throw new ConfigError(variable, path, `the path of a PEM file that this user may read (${codeOf(error)})`);
  }
  return resolve(path);
}

function readStateDirectory(text: string): string {
  if (text === "" || text.includes("\0")) throw new ConfigError("CONNLIMITD_STATE_DIR", text, "the path of a directory");
  return resolve(text);
}

function readWord<Word extends string>(variable: string, text: string, words: readonly Word[]): Word {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new ConfigError(variable, text, words.join(", "));
  return word;
}

function readProtect(text: string): readonly Network[] {
  const named = splitList(text).map((part) => {
    try {
      return parseNetwork(part);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new ConfigError("CONNLIMITD_PROTECT", part, `addresses and networks, separated by commas: ${reason}`);
    }
  });
  const sorted = [...loopback, ...named].sort(compareNetworks);
  const outermost = sorted.filter(
    (network, index) => !sorted.some((other, at) => contains(other, network) && (at < index || !contains(network, other))),
  );
  return Object.freeze(outermost);
}

function readAllowedHosts(text: string): readonly string[] {
  const hosts = splitList(text.toLowerCase()).map((part) => {
    const host = /^\[.*\]$/.test(part) ? part.slice(1, -1) : part;
    if (isIPv4(host) || isIPv6(host) || hostName.test(host)) return host;
    throw new ConfigError("CONNLIMITD_ALLOWED_HOSTS", part, "names and addresses without a port, separated by commas");
  });
  return Object.freeze([...new Set(hosts)]);
}

/** An empty text is an empty list; an empty part is kept, for its reader to refuse. */
function splitList(text: string): readonly string[] {
  return text.trim() === "" ? [] : text.split(",").map((part) => part.trim());
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 0; i < a.length; i += 1) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
