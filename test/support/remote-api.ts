import type { IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Certificate } from "./certificate.ts";
import type { Network } from "./namespaces.ts";
import type { Service } from "./service.ts";

/** One HTTPS request; `from` is the address that it comes from, `ca` the certificate that is trusted, `client` the one that is shown. */
export interface RemoteRequest {
  readonly host: string;
  readonly port: number;
  readonly from: string;
  readonly ca: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly client?: Certificate;
  /** Over one connection with all others of the kind, instead of one of its own. */
  readonly keepAlive?: boolean;
}

/** What came of it. */
export type RemoteAnswer =
  | { readonly status: number; readonly headers: IncomingHttpHeaders; readonly text: string }
  | { readonly error: string };

/** Where the API is, and how to come in. */
export interface RemoteTarget {
  readonly hosts: Readonly<Record<4 | 6, string>>;
  readonly port: number;
  readonly ca: string;
  readonly token: string;
  readonly client?: Certificate;
  readonly keepAlive?: boolean;
}

/** The API over TCP, asked from any address of the client's side. */
export interface RemoteApi {
  /** @throws {Error} with a system error's code when there is no answer */
  from(address: string): Pick<Service, "request">;
}

/** Starts what asks, in the client's namespace; it ends with the network. */
export function startRemoteApi(network: Network, { hosts, port, ca, token, ...connection }: RemoteTarget): RemoteApi {
  const { stdin, stdout } = network.spawn("client", process.execPath, [join(import.meta.dirname, "https-agent.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  if (stdin === null || stdout === null) throw new Error("the agent has no pipes");
  const waiting = new Map<number, (answer: RemoteAnswer) => void>();
  createInterface({ input: stdout }).on("line", (line) => {
    const { id, answer } = JSON.parse(line) as { readonly id: number; readonly answer: RemoteAnswer };
    waiting.get(id)?.(answer);
    waiting.delete(id);
  });
  stdin.on("error", () => {});
  let nextId = 1;
  return {
    from: (address) => ({
      async request(method, path, body, headers = {}) {
        const text = body === undefined ? undefined : JSON.stringify(body);
        const asked: RemoteRequest = {
          host: hosts[address.includes(":") ? 6 : 4],
          port,
          from: address,
          ca,
          ...connection,
          method,
          path,
          headers: {
            authorization: `Bearer ${token}`,
            ...(text === undefined ? {} : { "content-type": "application/json" }),
            ...headers,
          },
          ...(text === undefined ? {} : { body: text }),
        };
        const id = nextId++;
        const answer = await new Promise<RemoteAnswer>((resolve) => {
          waiting.set(id, resolve);
          stdin.write(`${JSON.stringify({ id, ...asked })}\n`);
        });
        if ("error" in answer) throw new Error(answer.error);
        return { status: answer.status, headers: answer.headers, body: answer.text === "" ? undefined : JSON.parse(answer.text) };
      },
    }),
  };
}
