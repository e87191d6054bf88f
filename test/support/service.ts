import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import type { CommandResult } from "./command-runner.ts";
import { createDirectory, linkPrograms } from "./directories.ts";
import { eventually } from "./eventually.ts";
import type { Backend } from "./kernel.ts";
import type { Network } from "./namespaces.ts";
import { withStartSlot } from "./start-slots.ts";

/** The repository's root. */
export const root = join(import.meta.dirname, "..", "..");

const iptables = ["iptables", "ip6tables"].flatMap((name) => [name, `${name}-nft`, `${name}-legacy`]);
/** Every program of iptables that the service can start. */
export const iptablesPrograms = iptables.flatMap((name) => [name, `${name}-save`, `${name}-restore`]);
/** Every other program that the service and the way into its namespace need, but ipset. */
export const otherPrograms = ["ip", "setpriv", "conntrack", "ss", "stdbuf", "socat"];

/** How V8 compiles: as by itself, unless whoever runs many tests at a time says otherwise. */
const compilation = process.env["CONNLIMITD_TEST_COMPILATION"]?.split(" ").filter(Boolean) ?? [];
/** Node with the flags of `npm start`, which also sets GLIBC_TUNABLES. */
const node = [process.execPath, "--max-semi-space-size=4", ...compilation];
/** Not that of the tests: with other flags of V8 each would throw away and replace what the other has kept. */
const compileCache = join(root, "node_modules/.cache/connlimitd-test-service", compilation.join(""));

/** How to run the service; `readyTimeout` in milliseconds. */
export interface ServiceOptions {
  readonly network: Network;
  readonly backend: Backend;
  /** Default: a fresh one, removed by `dispose`. */
  readonly stateDirectory?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs it on a host that does not have the program ipset. */
  readonly withoutIpset?: boolean;
  /** A TCP listener beside the unix socket, such as `127.0.0.1:7306` in the host's namespace. */
  readonly tcpListener?: string;
  readonly readyTimeout?: number;
  /** Milliseconds between two looks whether it is ready; by default more and more, which costs less. */
  readonly readyEvery?: number;
  /** A program and its arguments that runs the service in the bounds of its unit; it is given the service's own directory and command line. */
  readonly within?: readonly string[];
}

/** An answer; `body` is parsed where it is JSON, text otherwise, `undefined` where there is none. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** The service as a process in the host's namespace, spoken to over its unix socket. */
export interface Service {
  readonly stateDirectory: string;
  readonly socketPath: string;
  /** The number of the process that was started last. */
  pid(): number;
  request(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** Sends it a signal. */
  signal(name: NodeJS.Signals): void;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number>;
  /** SIGKILL; resolves once the process is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same state directory (after `stop` or `kill`, or stops it first). */
  restart(): Promise<void>;
  /** `npm run purge`'s program with the same environment. */
  purge(): Promise<CommandResult>;
  /** All it has written to stdout and stderr. */
  logs(): string;
  /** Kills it and removes its files. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

let bundled: Promise<unknown> | undefined;

/** What is started is the bundle, of the sources that are there now. */
function bundle(): Promise<unknown> {
  bundled ??= promisify(execFile)("sh", [join(root, "scripts/bundle.sh")]);
  return bundled;
}

/** Starts the service and resolves once `GET /readyz` is 200. @throws {Error} with all its output when that takes too long */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { network, backend, tcpListener, readyTimeout = 10_000, readyEvery } = options;
  await bundle();
  const directory = await createDirectory();
  const stateDirectory = options.stateDirectory ?? join(directory.path, "state");
  const socketPath = join(directory.path, "api.sock");
  const settings: Record<string, string> = {
    PATH:
      options.withoutIpset === true
        ? await linkPrograms(join(directory.path, "bin"), [...iptablesPrograms, ...otherPrograms])
        : (process.env["PATH"] ?? ""),
    NODE_COMPILE_CACHE: compileCache,
    GLIBC_TUNABLES: "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1:glibc.malloc.top_pad=16777216",
    CONNLIMITD_LISTEN: [`unix:${socketPath}`, ...(tcpListener === undefined ? [] : [tcpListener])].join(","),
    CONNLIMITD_STATE_DIR: stateDirectory,
    CONNLIMITD_BACKEND: backend,
    // What it says of each request is a third of what a request costs.
    CONNLIMITD_LOG_LEVEL: "warn",
    ...options.env,
  };
  let output = "";
  let running:
    | { readonly pid: number; readonly ended: Promise<number>; readonly over: () => boolean; signal(name: NodeJS.Signals): void }
    | undefined;

  const launch = async (): Promise<void> => {
    const command = [...node, join(root, "dist/main.js")];
    const [program = "", ...args] = options.within ? [...options.within, directory.path, ...command] : command;
    const child = network.spawn("host", program, args, {
      cwd: directory.path,
      env: settings,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
    const ended = new Promise<number>((resolve) => {
      child.once("close", (code, signal) => {
        if (signal !== null) output += `\n[ended by ${signal}]\n`;
        resolve(code ?? -1);
      });
    });
    running = {
      pid: child.pid ?? 0,
      ended,
      over: () => child.exitCode !== null || child.signalCode !== null,
      signal: (name) => child.kill(name),
    };
    await eventually("the service answers /readyz with 200", readyOrOver, {
      within: readyTimeout,
      ...(readyEvery !== undefined && { every: readyEvery }),
    });
    if (running.over()) throw new Error(`it ended with exit code ${await ended}`);
  };
  const readyOrOver = async (): Promise<boolean> =>
    running?.over() === true ||
    (existsSync(socketPath) && (await send(socketPath, "GET", "/readyz", undefined, {})).status === 200);
  const end = async (signal: NodeJS.Signals): Promise<number> => {
    running?.signal(signal);
    return (await running?.ended) ?? -1;
  };
  const start = async (): Promise<void> => {
    try {
      await withStartSlot(launch);
    } catch (error) {
      await end("SIGKILL");
      throw new Error(`the service did not start: ${String(error)}\n${output}`, { cause: error });
    }
  };
  const dispose = async (): Promise<void> => {
    await end("SIGKILL");
    directory.remove();
  };
  try {
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    stateDirectory,
    socketPath,
    request: (method, path, body, headers = {}) => send(socketPath, method, path, body, headers),
    pid: () => running?.pid ?? -1,
    signal: (name) => running?.signal(name),
    stop: () => end("SIGTERM"),
    async kill() {
      await end("SIGKILL");
    },
    async restart() {
      if (running?.over() === false) await end("SIGTERM");
      await start();
    },
    async purge() {
      const assignments = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
      return network.tryExec("host", "env", ["-i", ...assignments, ...node, join(root, "dist/purge.js")]);
    },
    logs: () => output,
    dispose,
    [Symbol.asyncDispose]: dispose,
  };
}

function send(
  socketPath: string,
  method: string,
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        socketPath,
        method,
        path,
        agent: false,
        timeout: 30_000,
        headers: {
          ...(text === undefined
            ? {}
            : { "content-type": "application/json", "content-length": String(Buffer.byteLength(text)) }),
          ...headers,
        },
      },
      (response) => {
        let received = "";
        response.setEncoding("utf8").on("data", (part: string) => (received += part));
        response.on("error", reject);
        response.on("end", () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: bodyOf(response.headers, received) });
        });
      },
    );
    request.on("timeout", () => request.destroy(new Error(`no answer to ${method} ${path} within 30 s`)));
    request.on("error", reject);
    request.end(text);
  });
}

function bodyOf(headers: IncomingHttpHeaders, text: string): unknown {
  if (text === "") return undefined;
  return /json/.test(headers["content-type"] ?? "") ? JSON.parse(text) : text;
}
