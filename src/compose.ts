import { hash } from "node:crypto";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import { type Logger, pino } from "pino";
import { listen } from "./api/listen.ts";
import { type ListenerTls, readListenerTls, reloadTls } from "./api/listener-tls.ts";
import type { Config, Listener, TlsFiles } from "./config.ts";
import { createConfirmationService } from "./domain/confirmation-service.ts";
import { createDeadlines } from "./enforcement/deadlines.ts";
import { createReconciler } from "./enforcement/reconciler.ts";
import { createStoreWatch } from "./enforcement/store-watch.ts";
import { createLogDestination } from "./log-destination.ts";
import { programFile } from "./netfilter/command/program-file.ts";
import { createFileRun, openProgram, runCommand } from "./netfilter/command/run.ts";
import { createSession, type OpenSession } from "./netfilter/command/session.ts";
import { createComposedRules } from "./netfilter/composed-rules.ts";
import { createFirewall, type NetfilterFirewall } from "./netfilter/firewall.ts";
import { createIpSets } from "./netfilter/ipset/sets.ts";
import { BackendMissingError, detectBackend } from "./netfilter/iptables/backend.ts";
import { createGeneration } from "./netfilter/iptables/generation.ts";
import { isLockHeld } from "./netfilter/iptables/lock.ts";
import type { TableSessions } from "./netfilter/iptables/tables.ts";
import { createKeptListings } from "./netfilter/kept-listings.ts";
import { lockNamespace, NamespaceInUseError } from "./netfilter/namespace-lock.ts";
import { assertCapabilities, PrivilegeError } from "./netfilter/prerequisites.ts";
import { createRecentLists } from "./netfilter/recent/list-files.ts";
import type { createServers } from "./servers.ts";
import { createServiceManager, type Supervision } from "./service-manager.ts";
import { StartError } from "./start-error.ts";
import { AdminTokenError, loadAdminToken } from "./store/admin-token.ts";
import { createKeptText } from "./store/kept-text.ts";
import { openStore } from "./store/store.ts";
import { StoreOpenError } from "./store/store-error.ts";
import { systemClock } from "./system-clock.ts";

/** Exit codes with a meaning of their own; after sysexits.h. */
const exitCodes = { missing: 77, setting: 78, other: 1 } as const;

/** Milliseconds that a stop waits for requests in flight; the kernel is waited for 1.7 s at most. */
const stopLimit = 4000;

/** Milliseconds for which the first pass has this process to itself. */
const headStart = 700;

/** The running service. */
export interface Service {
  /** Ends what is in flight and leaves the rules in the kernel. */
  stop(): Promise<void>;
  /** Reads the TLS files anew, for connections from now on; files that can't be used are logged and change nothing. */
  reload(): void;
}

/**
 * Puts the layers together and starts them: the store, a first pass over the kernel, the listeners.
 * @param supervision null where no service manager waits for a word
 * @throws {StartError}
 */
export async function startService(config: Config, supervision: Supervision | null): Promise<Service> {
  const log = pino({ level: config.logLevel }, createLogDestination());
  const waiting = Promise.withResolvers<void>();
  const firewall = await openFirewall(config, log, waiting.resolve);
  const unlock = await lock();
  await firewall.prepare();
  const store = orStartError(() => openStore(config));
  const reconciler = createReconciler({ store, firewall, clock: systemClock, log });
  const confirmations = createConfirmationService({ store, enforcer: reconciler, clock: systemClock });
  const deadlines = createDeadlines({ confirmations, clock: systemClock, log });
  const storeWatch = createStoreWatch({ store, clock: systemClock, log });
  const tls = config.tls === null ? undefined : usableTls(config.tls);
  const adminToken = orStartError(() => loadAdminToken(config.stateDirectory));
  const manager = createServiceManager({ supervision, run: runCommand, clock: systemClock, progress: reconciler, log });
  let servers: ReturnType<typeof createServers> = [];
  const stop = async (): Promise<void> => {
    const said = manager.stopping();
    await Promise.all(servers.map(({ app }) => closeWithin(app)));
    await Promise.all([deadlines.stop(), storeWatch.stop()]);
    await reconciler.stop();
    await firewall.leave();
    store.close();
    await unlock();
    await said;
  };
  try {
    // The kernel comes first. A pass that takes long waits for programs, and meanwhile the larger part of this process is loaded.
    const firstPass = reconciler.start().then(() => {
      deadlines.start();
      if (reconciler.inStep()) log.info({}, "the kernel is in step");
    });
    // It can fail while the rest is loaded.
    void Promise.allSettled([firstPass]);
    await Promise.race([firstPass, waiting.promise, setTimeout(headStart, undefined, { ref: false })]);
    const { createServers } = await import("./servers.ts");
    servers = createServers({ config, store, firewall, reconciler, confirmations, adminToken, tls, log });
    await Promise.all([firstPass, ...servers.map(({ app }) => app.ready())]);
    storeWatch.start();
    for (const { app, listener } of servers) await listenOn(app, listener);
  } catch (error) {
    await stop();
    throw error;
  }
  manager.ready();
  const reload = (): void => reloadTls({ paths: config.tls, servers: servers.map(({ app }) => app.server), log });
  return { stop, reload };
}

/**
 * Removes every chain, list and set that is this service's own; the result names sets that rules of others keep.
 * @throws {StartError} also when the service runs, as it would put them back
 */
export async function purge(config: Config): Promise<readonly string[]> {
  const firewall = await openFirewall(config, pino({ level: "silent" }));
  const unlock = await lock();
  const kept = await firewall.purge();
  await unlock();
  return kept;
}

async function openFirewall(config: Config, log: Logger, onLongWait = (): void => undefined): Promise<NetfilterFirewall> {
  try {
    assertCapabilities();
    const isThere = (program: string): boolean => programFile(program, config.searchPath) !== "";
    const { backend, version } = await detectBackend(config.backend, runCommand, isThere);
    log.info({ backend }, "iptables");
    const { protect: protectedNetworks } = config;
    const open: OpenSession = (file, args, manner) =>
      createSession(
        () => openProgram(file, args, manner?.padding === undefined && manner?.prompting === undefined ? "lines" : "blocks"),
        () => programFile(file, config.searchPath),
        manner,
      );
    const runIntoFile = createFileRun(config.stateDirectory);
    const sessions: TableSessions = { open, runIntoFile, lockHeld: () => isLockHeld(config.lockFile) };
    const [lists, sets] = [
      createRecentLists(),
      createIpSets({ run: runCommand, runIntoFile, open, releasedAtOnce: backend === "legacy" }),
    ];
    const madeBy = sourcesOfBundle();
    const file = createKeptText(config, "composed-rules");
    const onFailure = (error: unknown): void =>
      log.warn({ reason: String(error) }, "the rules could not be kept: the next start will take longer");
    const place = backend === "nft" ? placeOfRules() : undefined;
    const listings =
      place === undefined ? undefined : createKeptListings({ file: createKeptText(config, "listed-rules"), place, onFailure });
    return createFirewall({
      backend,
      version,
      protectedNetworks,
      run: runCommand,
      isThere,
      sessions,
      lists,
      sets,
      ...(madeBy !== undefined && { composed: createComposedRules({ file, madeBy, backend, clock: systemClock, onFailure }) }),
      ...(backend === "nft" && { generation: createGeneration() }),
      ...(listings && { listings }),
      clock: systemClock,
      onLongWait,
    });
  } catch (error) {
    if (error instanceof BackendMissingError || error instanceof PrivilegeError)
      throw new StartError(exitCodes.missing, error.message);
    throw error;
  }
}

/** A fingerprint of the code that runs, which is told by what stands beside the bundle; undefined where this is none. */
function sourcesOfBundle(): string | undefined {
  const file = join(import.meta.dirname, "sources");
  return existsSync(file) ? hash("sha1", readFileSync(file)) : undefined;
}

/** Another text for each network namespace, and for each boot; undefined where that can't be told. */
function placeOfRules(): string | undefined {
  try {
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()} ${readlinkSync("/proc/self/ns/net")}`;
  } catch {
    return undefined;
  }
}

/** Ends what is in flight; who has not finished sending a request by then is cut off. */
async function closeWithin(app: FastifyInstance): Promise<void> {
  const closed = app.close();
  const inTime = await Promise.race([closed.then(() => true), setTimeout(stopLimit, false, { ref: false })]);
  if (!inTime) app.server.closeAllConnections();
  await closed;
}

function usableTls(files: TlsFiles): ListenerTls {
  try {
    return readListenerTls(files);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartError(
      exitCodes.setting,
      `CONNLIMITD_TLS_CERT, CONNLIMITD_TLS_KEY, CONNLIMITD_TLS_CLIENT_CA: got files that can't be used (${reason}), take PEM files, the key belonging to the certificate`,
    );
  }
}

async function listenOn(app: FastifyInstance, listener: Listener): Promise<void> {
  try {
    await listen(app, listener);
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    const address = listener.kind === "unix" ? `unix:${listener.path}` : `${listener.host}:${listener.port}`;
    throw new StartError(
      exitCodes.setting,
      `CONNLIMITD_LISTEN: got ${JSON.stringify(address)}, takes an address that is free and this host's (${reason})`,
    );
  }
}

async function lock(): Promise<() => Promise<void>> {
  try {
    return await lockNamespace();
  } catch (error) {
    if (error instanceof NamespaceInUseError) throw new StartError(exitCodes.other, error.message);
    throw error;
  }
}

function orStartError<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof StoreOpenError && error.code === "unusable") {
      throw new StartError(
        exitCodes.setting,
        `CONNLIMITD_STATE_DIR: got a directory that can't be used, takes one that this user may write to (${error.message})`,
      );
    }
    if (error instanceof StoreOpenError || error instanceof AdminTokenError) throw new StartError(exitCodes.other, error.message);
    throw error;
  }
}
