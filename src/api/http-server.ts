import type { RequestListener, Server, ServerOptions } from "node:http";
import type { ListenerTls } from "./listener-tls.ts";
import { createServer } from "./node-http.ts";
import { loadHttps } from "./node-tls.ts";
import { noteAnswers } from "./problems/client-errors.ts";

/** All in milliseconds. A slow client is cut off; a handler answers well within the idle time, as it waits two seconds at most for the kernel. */
const timeouts = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  /** How often Node looks for requests that are over the first two. */
  connectionsCheckingInterval: 2_000,
} as const satisfies ServerOptions;
const idleTimeout = 60_000;
/** That a TLS handshake may take. */
const handshakeTimeout = timeouts.headersTimeout;

const serverOptions = {
  ...timeouts,
  maxHeaderSize: 16_384,
  // Fastify's hooks answer these, with a problem document.
  requireHostHeader: false,
} as const satisfies ServerOptions;

/** The HTTP/1.1 server of one listener. */
export function createHttpServer(handler: RequestListener, tls: ListenerTls | undefined): Server {
  const server =
    tls === undefined
      ? createServer(serverOptions, handler)
      : loadHttps().createServer({ ...serverOptions, handshakeTimeout, ...tls }, handler);
  noteAnswers(server);
  server.setTimeout(idleTimeout);
  // RFC 9110, 10.1.1: an expectation that is not known may be ignored.
  server.on("checkExpectation", handler);
  return server;
}
