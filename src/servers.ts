import { createHmac } from "node:crypto";
import { networkInterfaces } from "node:os";
import type { FastifyInstance } from "fastify";
import type { Logger } from "pino";
import packageJson from "../package.json" with { type: "json" };
import { createAccess } from "./api/access/access.ts";
import { createFailedAttempts } from "./api/access/failed-attempts.ts";
import { createConnectionLimit } from "./api/connection-limit.ts";
import type { ListenerTls } from "./api/listener-tls.ts";
import { createServer } from "./api/server.ts";
import type { Config, Listener } from "./config.ts";
import { createAuditService } from "./domain/audit-service.ts";
import { createBanService } from "./domain/ban-service.ts";
import { createCohorts, inCohorts } from "./domain/cohorts.ts";
import { createLookService } from "./domain/look-service.ts";
import { createPolicyService } from "./domain/policy-service.ts";
import type { Store } from "./domain/ports.ts";
import type { ConfirmationService } from "./domain/services.ts";
import { createTokenService } from "./domain/token-service.ts";
import type { Reconciler } from "./enforcement/reconciler.ts";
import { runCommand } from "./netfilter/command/run.ts";
import { createConntrack } from "./netfilter/conntrack/connections.ts";
import { createFilteredDump } from "./netfilter/conntrack/filtered-dump.ts";
import type { NetfilterFirewall } from "./netfilter/firewall.ts";
import { createSurroundings } from "./netfilter/surroundings.ts";
import { systemClock } from "./system-clock.ts";

/** What is there before a server is. */
export interface Layers {
  readonly config: Config;
  readonly store: Store;
  readonly firewall: NetfilterFirewall;
  readonly reconciler: Reconciler;
  readonly confirmations: ConfirmationService;
  readonly adminToken: string;
  readonly tls: ListenerTls | undefined;
  readonly log: Logger;
}

/** Puts the services over the ports, and makes the HTTP server of each listener. */
export function createServers(layers: Layers): readonly { readonly app: FastifyInstance; readonly listener: Listener }[] {
  const { config, store, firewall, reconciler: enforcer, adminToken, tls, log } = layers;
  const connections = createConntrack({ run: runCommand, dump: createFilteredDump() });
  const onLoss = (error: unknown) => log.warn({ reason: String(error) }, "a refusal could not be written to the audit");
  const audit = createAuditService({ store, clock: systemClock, onLoss });
  const shared = {
    store,
    audit,
    firewall,
    enforcer,
    connections,
    surroundings: createSurroundings({ connections }),
    clock: systemClock,
    protectedNetworks: config.protect,
    apiPorts: config.listeners.flatMap((listener) => (listener.kind === "tcp" ? [listener.port] : [])),
  };
  const policies = createPolicyService(shared);
  const bans = inCohorts(createBanService(shared), createCohorts(systemClock));
  const look = createLookService(shared);
  const tokens = createTokenService(shared);
  const access = createAccess(adminToken, tokens);
  const attempts = createFailedAttempts(systemClock);
  const connectionLimit = createConnectionLimit({ log });
  return config.listeners.map((listener) => ({
    listener,
    app: createServer({
      transport: listener.kind,
      policies,
      bans,
      look,
      inspector: firewall.inspector,
      enforcement: enforcer,
      confirmations: layers.confirmations,
      enforcer,
      tokens,
      audit,
      access,
      attempts,
      hosts: listener.kind === "unix" ? null : hostsOf(listener.host, config.allowedHosts),
      readiness: () => {
        const reason = enforcer.failure() ?? store.failure();
        return reason === null ? { ready: true } : { ready: false, reason };
      },
      cursorSecret: createHmac("sha256", adminToken).update("cursors").digest(),
      version: packageJson.version,
      logger: log,
      connectionLimit,
      ...(tls === undefined || listener.kind === "unix" ? {} : { tls }),
    }),
  }));
}

/** What the `Host` of a request may be: where it listens, and what the settings add. */
function hostsOf(host: string, allowed: readonly string[]): ReadonlySet<string> {
  const anywhere = host === "0.0.0.0" || host === "::";
  const own = anywhere
    ? Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address))
    : [host];
  const loopback =
    anywhere || host === "localhost" || host === "::1" || host.startsWith("127.") ? ["localhost", "127.0.0.1", "::1"] : [];
  return new Set([...own, ...loopback, ...allowed]);
}
