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
}

export interface WrkResult {
  /** Answers of status 2xx per second. */
  readonly perSecond: number;
  readonly answers: number;
}

/** Puts load on an HTTP server. @throws {Error} when an answer is no 2xx, or a connection breaks */
export async function runWrk(network: Network, side: Side, options: WrkOptions): Promise<WrkResult> {
  const { url, connections, seconds, headers = [], script, words = [] } = options;
  const output = await network.exec(side, "wrk", [
    ...["--threads", "1", "--connections", String(connections), "--duration", `${seconds}s`],
    ...headers.flatMap((header) => ["--header", header]),
    ...(script === undefined ? [] : ["--script", join(import.meta.dirname, script)]),
    url,
    ...words,
  ]);
  const bad = /^ *(Non-2xx or 3xx responses: .*|Socket errors: connect (?!0, ).*)$/m.exec(output)?.[1];
  if (bad !== undefined) throw new Error(`wrk ${url}: ${bad}`);
  return {
    perSecond: numberAfter(output, /^Requests\/sec:\s+([\d.]+)/m),
    answers: numberAfter(output, /^\s*(\d+) requests in/m),
  };
}

function numberAfter(output: string, pattern: RegExp): number {
  const found = pattern.exec(output)?.[1];
  if (found === undefined) throw new Error(`wrk has told no ${pattern.source}: ${output}`);
  return Number(found);
}
