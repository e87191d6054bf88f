import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Server } from "node:http";
import type { TlsOptions } from "node:tls";
import { loadHttps, loadTls } from "./node-tls.ts";

/** Certificates of a TCP listener; with `ca` and `requestCert`, clients have to show one too. */
export type ListenerTls = Pick<TlsOptions, "cert" | "key" | "ca" | "requestCert" | "rejectUnauthorized">;

/** Paths of PEM files; with `clientCa`, clients need a certificate of that authority. */
export interface TlsPaths {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | null;
}

/** @throws {Error} of the system or of OpenSSL when the files can't be read or don't fit together */
export function readListenerTls({ cert, key, clientCa }: TlsPaths): ListenerTls {
  const files = { cert: readFileSync(cert), key: readFileSync(key) };
  const tls =
    clientCa === null ? files : { ...files, ca: readAuthorities(clientCa), requestCert: true, rejectUnauthorized: true };
  loadTls().createSecureContext(tls);
  return tls;
}

/** OpenSSL takes a file without any certificate too, and with that nobody would get in. */
function readAuthorities(path: string): Buffer {
  const pem = readFileSync(path);
  new X509Certificate(pem);
  return pem;
}

export interface TlsReloadOptions {
  readonly paths: TlsPaths | null;
  /** Those without TLS are left alone. */
  readonly servers: readonly Server[];
  readonly log: Readonly<Record<"info" | "error", (details: object, message: string) => void>>;
}

/**
 * Reads the files anew: connections from now on get the new certificate, open ones go on. Files that can't be used change nothing,
 * and the log says so.
 */
export function reloadTls({ paths, servers, log }: TlsReloadOptions): void {
  if (paths === null) {
    log.info({}, "there are no TLS files to read again");
    return;
  }
  try {
    const tls = readListenerTls(paths);
    const { Server: TlsServer } = loadHttps();
    for (const server of servers) if (server instanceof TlsServer) server.setSecureContext(tls);
    log.info({ ...paths }, "the TLS files are read again");
  } catch (err) {
    log.error({ err, ...paths }, "the TLS files can't be used, so that those read before stay in use");
  }
}
