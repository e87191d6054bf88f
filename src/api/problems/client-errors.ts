import type { Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { STATUS_CODES } from "../node-http.ts";
import { ApiProblem, problemDocument, problemMediaType } from "./problem.ts";
import { problemTypes } from "./problem-types.ts";

/** The answer that each connection waits for or gets now. */
const answers = new WeakMap<Duplex, ServerResponse>();

/** Keeps `answerClientError` from writing into the middle of an answer of `server`. */
export function noteAnswers(server: Server): void {
  server.on("request", ({ socket }, response) => {
    answers.set(socket, response);
    response.once("close", () => answers.delete(socket));
  });
}

/** Answers what is no HTTP request: a broken request line, headers without end, a request that never finishes. */
export function answerClientError(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  const isAnswering = answers.get(socket)?.headersSent === true;
  if (isAnswering) socket.destroySoon();
  else answerRaw(socket, clientProblem(error.code));
}

/** Answers where there is no request, and ends the connection. */
export function answerRaw(socket: Socket, problem: ApiProblem): void {
  if (socket.writable) socket.write(rawAnswer(problem));
  socket.destroySoon();
}

function clientProblem(code: string | undefined): ApiProblem {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return new ApiProblem("request-timeout", "The request did not arrive in time.");
  if (code === "HPE_HEADER_OVERFLOW") return new ApiProblem("header-too-large", "The headers are larger than 16 KiB.");
  if (code === "HPE_CHUNK_EXTENSIONS_OVERFLOW") return new ApiProblem("payload-too-large", "The chunk extensions are too large.");
  return new ApiProblem("malformed-request", "This is not a well-formed HTTP/1.1 request.");
}

function rawAnswer(problem: ApiProblem): string {
  const { status } = problemTypes[problem.slug];
  const body = JSON.stringify(problemDocument(problem));
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    `Content-Type: ${problemMediaType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...Object.entries(problem.headers).map(([name, value]) => `${name}: ${value}`),
    "Connection: close",
    "",
    body,
  ].join("\r\n");
}
