// Runs inside one network namespace, makes and answers real TCP connections as told by JSON lines on stdin, and ends with stdin.
import { createServer, isIPv6, type Server, Socket } from "node:net";
import { createInterface } from "node:readline";
import type { AgentCommand, AgentReply, Attempt, Burst, BurstResult, EchoOutcome, Target } from "./agent.ts";

const servers = new Map<string, Server>();
const accepted = new Set<Socket>();
const connections = new Map<number, Socket>();
let nextConnection = 1;
/** Sources of a burst that are at it at the same time. */
const burstWorkers = 50;

const outcomes: Readonly<Record<string, Exclude<Attempt["outcome"], "connected">>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "refused",
  EACCES: "unreachable",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ETIMEDOUT: "timeout",
};

async function listen(address: string, port: number): Promise<void> {
  const server = createServer((socket) => {
    accepted.add(socket);
    socket.on("close", () => accepted.delete(socket));
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  servers.set(`${address} ${port}`, server);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address, port, backlog: 4096, ipv6Only: isIPv6(address) }, resolve);
  });
}

/** Opens a connection; resolves with its socket once it is there, or with what became of the attempt. */
function open({ from, to, port, timeout }: Required<Target>): Promise<Socket | Exclude<Attempt["outcome"], "connected">> {
  const socket = new Socket();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      socket.destroy();
      resolve("timeout");
    }, timeout);
    socket.on("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const outcome = outcomes[error.code ?? ""];
      if (outcome === undefined) reject(error);
      else resolve(outcome);
    });
    socket.connect({ host: to, port, localAddress: from }, () => {
      clearTimeout(timer);
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

async function connect(command: Required<Target>): Promise<Attempt> {
  const socket = await open(command);
  if (typeof socket === "string") return { outcome: socket };
  const connection = nextConnection++;
  connections.set(connection, socket);
  return { outcome: "connected", connection };
}

async function burst({ targets, each, timeout }: Burst): Promise<readonly BurstResult[]> {
  const waiting = targets.values();
  const held: Socket[] = [];
  const results: BurstResult[] = [];
  const work = async (): Promise<void> => {
    for (const target of waiting) {
      let outcome: Attempt["outcome"] = "connected";
      let begun = 0;
      for (let attempt = 0; attempt < each && outcome === "connected"; attempt += 1) {
        begun = Date.now();
        const socket = await open({ ...target, timeout });
        if (typeof socket === "string") outcome = socket;
        else held.push(socket);
      }
      results.push({ from: target.from, outcome, begun, ended: Date.now() });
    }
  };
  await Promise.all(Array.from({ length: burstWorkers }, work));
  for (const socket of held) socket.resetAndDestroy();
  return results;
}

function send(connection: number, timeout: number): Promise<EchoOutcome> {
  const socket = connections.get(connection);
  if (socket === undefined) throw new Error(`there is no connection ${connection}`);
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve("reset");
    const finish = (outcome: EchoOutcome) => () => {
      clearTimeout(timer);
      socket.off("data", onData).off("close", onClose);
      resolve(outcome);
    };
    const onData = finish("echoed");
    const onClose = finish("reset");
    const timer = setTimeout(finish("timeout"), timeout);
    socket.once("data", onData).once("close", onClose);
    socket.write("ping\n");
  });
}

function close(connection: number): Promise<void> {
  const socket = connections.get(connection);
  connections.delete(connection);
  return new Promise((resolve) => {
    if (socket === undefined || socket.destroyed) return resolve();
    const timer = setTimeout(() => socket.destroy(), 500);
    socket.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
    socket.resume().end();
  });
}

async function perform(command: AgentCommand): Promise<Exclude<AgentReply["result"], undefined>> {
  switch (command.op) {
    case "listen":
      await listen(command.address, command.port);
      return null;
    case "connect":
      return connect(command);
    case "burst":
      return burst(command);
    case "send":
      return send(command.connection, command.timeout);
    case "close":
      await close(command.connection);
      return null;
    case "state": {
      const open = [...connections].filter(([, socket]) => !socket.destroyed).map(([connection]) => connection);
      const peers = [...accepted].flatMap((socket) => socket.remoteAddress ?? []);
      return { listening: [...servers.keys()], accepted: accepted.size, peers, open };
    }
  }
}

function reply(message: AgentReply): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { id, command } = JSON.parse(line) as { id: number; command: AgentCommand };
    try {
      reply({ id, result: await perform(command) });
    } catch (error) {
      reply({ id, error: String(error) });
    }
  })
  .on("close", () => process.exit(0));
