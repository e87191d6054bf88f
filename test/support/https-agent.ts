// Runs inside one network namespace, makes HTTPS requests as told by JSON lines on stdin, and ends with stdin.
import { Agent, request } from "node:https";
import { createInterface } from "node:readline";
import type { RemoteAnswer, RemoteRequest } from "./remote-api.ts";

const lasting = new Agent({ keepAlive: true, maxSockets: 1 });

function perform({ host, port, from, method, path, headers, body, ca, client, keepAlive }: RemoteRequest): Promise<RemoteAnswer> {
  return new Promise((resolve) => {
    const fail = (error: NodeJS.ErrnoException): void => resolve({ error: error.code ?? error.message });
    // The certificate is for the address, whatever host the request names.
    const options = {
      servername: "",
      host,
      port,
      localAddress: from,
      method,
      path,
      headers,
      ca,
      ...client,
      agent: keepAlive === true && lasting,
      timeout: 10_000,
    };
    const sent = request(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("error", fail);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    sent.on("timeout", () => sent.destroy(new Error("no answer within 10 s")));
    sent.on("error", fail);
    sent.end(body);
  });
}

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { id, ...asked } = JSON.parse(line) as RemoteRequest & { readonly id: number };
    process.stdout.write(`${JSON.stringify({ id, answer: await perform(asked) })}\n`);
  })
  .on("close", () => process.exit(0));
