import { join } from "node:path";
import type { Network, Side } from "../../test/support/namespaces.ts";

export interface WrkOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** Header fields, `Name: value`. */
  readonly headers?: readonly string[];
  /** A file beside this one that says what is sent. */
  readonly script?: string;
  /** What the script is told. */
  readonly words?: readonly string[];
  /** Answers that are no 2xx are counted rather than an error. */
  readonly mayFail?: boolean;
}

export interface WrkResult {
  /** Answers of status 2xx per second. */
  readonly perSecond: number;
  readonly answers: number;
  /** How many of them were no 2xx. */
  readonly failed: number;
}

/** Puts load on an HTTP server. @throws {Error} when an answer is no 2xx, or a connection breaks */
export async function runWrk(network: Network, side: Side, options: WrkOptions): Promise<WrkResult> {
  const { url, connections, seconds, headers = [], script, words = [], mayFail = false } = options;
  const output = await network.exec(side, "wrk", [
    ...["--threads", "1", "--connections", String(connections), "--duration", `${seconds}s`],
    ...headers.flatMap((header) => ["--header", header]),
    ...(script === undefined ? [] : ["--script", join(import.meta.dirname, script)]),
    url,
    ...words,
  ]);
  const bad = /^ *(Non-2xx or 3xx responses: .*|Socket errors: connect (?!0, ).*)$/m.exec(output)?.[1];
  if (bad !== undefined && !mayFail) throw new Error(`wrk ${url}: ${bad}`);
  const answers = numberAfter(output, /^\s*(\d+) requests in/m);
  const failed = Number(/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? 0);
  const perSecond = numberAfter(output, /^Requests\/sec:\s+([\d.]+)/m);
  return { perSecond: (perSecond * (answers - failed)) / Math.max(1, answers), answers, failed };
}

function numberAfter(output: string, pattern: RegExp): number {
  const found = pattern.exec(output)?.[1];
  if (found === undefined) throw new Error(`wrk has told no ${pattern.source}: ${output}`);
  return Number(found);
}
