import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FastifyInstance, InjectOptions } from "fastify";
import { createAccess } from "../../src/api/access/access.ts";
import { createFailedAttempts } from "../../src/api/access/failed-attempts.ts";
import { defaultOverloadLimits } from "../../src/api/requests/overload.ts";
import { createServer } from "../../src/api/server.ts";
import { createAuditService } from "../../src/domain/audit-service.ts";
import { createBanService } from "../../src/domain/ban-service.ts";
import { createConfirmationService } from "../../src/domain/confirmation-service.ts";
import { createLookService } from "../../src/domain/look-service.ts";
import { parseNetwork } from "../../src/domain/network.ts";
import { createPolicyService } from "../../src/domain/policy-service.ts";
import { createTokenService } from "../../src/domain/token-service.ts";
import { createReconciler } from "../../src/enforcement/reconciler.ts";
import type { CommandResult, OpenProgram, RunCommand } from "../../src/netfilter/command/run.ts";
import { createConntrack } from "../../src/netfilter/conntrack/connections.ts";
import { createFilteredDump } from "../../src/netfilter/conntrack/filtered-dump.ts";
import { createFirewall } from "../../src/netfilter/firewall.ts";
import { createIpSets } from "../../src/netfilter/ipset/sets.ts";
import { openStore } from "../../src/store/store.ts";
import { systemClock } from "../../src/system-clock.ts";
import { commandFault, listWriteFault } from "./command-grammar.ts";
import { createDirectory } from "./directories.ts";
import { createFakeRecentLists } from "./fake-recent-lists.ts";
import { createFakeSurroundings } from "./fake-surroundings.ts";
import { createSimulatedIpset } from "./simulated-ipset.ts";
import { createSimulatedIptables, type Invocation } from "./simulated-iptables.ts";
import { simulatedSessions } from "./simulated-sessions.ts";

/** The whole service over a simulated kernel, everything that leaves it being compared with the grammar. */
export interface InjectionScene {
  readonly app: FastifyInstance;
  /** Sends a request with the admin's token; headers given here win. */
  send(request: InjectOptions): Promise<{ readonly status: number; readonly body: string }>;
  /** Commands and writes that were compared until now. */
  compared(): number;
  /** What left the service and is not in the grammar. */
  faults(): readonly string[];
  /** Takes everything back that a test stored. */
  clear(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const token = "correct-horse-battery-staple";
const ownAddresses = ["192.0.2.1", "2001:db8:1::1"];
/** Connections that a ban can end, so that the programs for that are run. */
const connectionsFile = [
  "ipv4     2 tcp      6 431999 ESTABLISHED src=203.0.113.9 dst=192.0.2.1 sport=40000 dport=3306 src=192.0.2.1 dst=203.0.113.9 sport=3306 dport=40000 [ASSURED] mark=0 zone=0 use=2",
  "ipv6     10 tcp      6 431999 ESTABLISHED src=2001:0db8:0000:0000:0000:0000:0000:0001 dst=2001:0db8:0001:0000:0000:0000:0000:0001 sport=40000 dport=3306 src=2001:0db8:0001:0000:0000:0000:0000:0001 dst=2001:0db8:0000:0000:0000:0000:0000:0001 sport=3306 dport=40000 [ASSURED] mark=0 zone=0 use=2",
  "",
].join("\n");

export async function createInjectionScene(): Promise<InjectionScene> {
  const directory = await createDirectory();
  const [file, countFile] = [join(directory.path, "nf_conntrack"), join(directory.path, "nf_conntrack_count")];
  writeFileSync(file, connectionsFile);
  // So many that the kernel is asked for those of an address.
  writeFileSync(countFile, "200000\n");
  const clock = systemClock;
  const lists = createFakeRecentLists({ clock });
  const ipset = createSimulatedIpset({ clock, isReferenced: (name) => kernel.namesSet(name) });
  const kernel = createSimulatedIptables({ onListsNamed: lists.keepOnly, hasSet: (name) => ipset.names().includes(name) });
  const faults = new Set<string>();
  let compared = 0;
  let writesSeen = 0;
  const compareWrites = (): void => {
    for (const write of lists.writes.slice(writesSeen)) {
      const fault = listWriteFault(write);
      if (fault !== undefined) faults.add(fault);
      compared += 1;
    }
    writesSeen = lists.writes.length;
  };
  const compare = (invocation: Invocation): void => {
    const fault = commandFault(invocation);
    if (fault !== undefined) faults.add(fault);
    compared += 1;
  };
  const simulated: RunCommand = async (program, args, input) => {
    if (program === "ss" || program === "conntrack") return { exitCode: 0, stdout: "", stderr: "" };
    return (program === "ipset" ? ipset.run : kernel.run)(program, args, input);
  };
  const run: RunCommand = (file, args, input) => {
    compare({ file, args, input });
    return simulated(file, args, input);
  };
  const open = simulatedSessions(simulated, compare);
  const sessions = { open, lockHeld: async () => false };
  const protectedNetworks = ["127.0.0.0/8", "::1"].map(parseNetwork);
  const sets = createIpSets({ run, open });
  const firewall = createFirewall({
    backend: "nft",
    version: async () => "1.8.9",
    isThere: () => true,
    protectedNetworks,
    run,
    sessions,
    lists,
    sets,
    clock,
  });
  const store = openStore({ stateDirectory: join(directory.path, "state") });
  const reconciler = createReconciler({ store, firewall, clock, log: { info: () => {}, warn: () => {} } });
  // It can't be asked, and is asked again each time.
  let time = 0;
  const dump = createFilteredDump({
    open: (file, args) => createDeafProgram((input) => compare({ file, args, input })),
    monotonic: () => (time += 60_000),
  });
  const connections = createConntrack({ run, dump, file, countFile, socketFiles: [], localAddresses: () => ownAddresses });
  const surroundings = createFakeSurroundings();
  const audit = createAuditService({ store, clock });
  const services = {
    store,
    audit,
    firewall,
    enforcer: reconciler,
    connections,
    surroundings,
    clock,
    protectedNetworks,
    apiPorts: [7306],
  };
  const tokens = createTokenService(services);
  const app = createServer({
    transport: "tcp",
    policies: createPolicyService(services),
    bans: createBanService(services),
    confirmations: createConfirmationService(services),
    look: createLookService(services),
    enforcer: reconciler,
    inspector: firewall.inspector,
    enforcement: reconciler,
    tokens,
    audit,
    access: createAccess(token, tokens),
    attempts: createFailedAttempts(clock),
    readiness: () => ({ ready: true }),
    cursorSecret: "secret",
    version: "0.0.0-test",
    logger: false,
    overloadLimits: { ...defaultOverloadLimits, maxEventLoopDelay: 0 },
  });
  await app.ready();
  await reconciler.start();
  const send: InjectionScene["send"] = async (request) => {
    const { statusCode, body } = await app.inject({
      remoteAddress: "127.0.0.1",
      ...request,
      headers: { authorization: `Bearer ${token}`, ...request.headers },
    });
    return { status: statusCode, body };
  };
  return {
    app,
    send,
    compared: () => {
      compareWrites();
      return compared;
    },
    faults: () => {
      compareWrites();
      return [...faults];
    },
    clear: async () => {
      await store.transact((change) => {
        for (const { name } of store.policies()) change.deletePolicy(name);
        for (const { address } of store.operatorBans()) change.deleteOperatorBan(address);
      });
      await reconciler.settle("rules");
    },
    [Symbol.asyncDispose]: async () => {
      await app.close();
      await reconciler.stop();
      store.close();
      directory.remove();
    },
  };
}

/** One that ends when it is told something. */
function createDeafProgram(onInput: (text: string) => void): OpenProgram {
  const { promise, resolve } = Promise.withResolvers<CommandResult>();
  const end = (): void => resolve({ exitCode: 1, stdout: "", stderr: "" });
  return {
    pid: undefined,
    write: (text) => {
      onInput(text);
      end();
    },
    listen: () => () => undefined,
    close: end,
    kill: end,
    ended: promise,
  };
}
