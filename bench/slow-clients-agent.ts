// Runs inside the host's namespace for bench/slow-clients.ts: node slow-clients-agent.ts '{"role": "slow"|"good", ...}'; prints JSON at its end.
import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import type { NetConnectOpts } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { startSlowClients } from "../test/support/slow-clients.ts";

export interface AgentOrder {
  readonly role: "slow" | "good";
  readonly targets: Readonly<Record<string, NetConnectOpts>>;
  readonly token: string;
  /** Of slow clients, over all targets. */
  readonly count: number;
  /** Milliseconds. */
  readonly duration: number;
}

/** Milliseconds of each request by how it came, and what failed. */
export interface GoodReport {
  readonly times: Readonly<Record<string, readonly number[]>>;
  readonly failures: readonly string[];
}

export interface SlowReport {
  readonly cutOff: number;
  readonly held: number;
}

const order: AgentOrder = JSON.parse(process.argv[2] ?? "{}");
const authorization = `Bearer ${order.token}`;

async function beSlow(): Promise<SlowReport> {
  const access = `Host: 127.0.0.1\r\nAuthorization: ${authorization}\r\n`;
  const groups = Object.values(order.targets).map((target, _index, { length }) =>
    startSlowClients({
      target,
      access,
      count: Math.floor(order.count / length),
      slowness: ["silent", "headers", "body", "reading"],
      pace: 1000,
      comeback: 1000,
    }),
  );
  await pause(order.duration);
  const sum = (of: "held" | "cutOff") => groups.reduce((total, group) => total + group[of](), 0);
  const report = { cutOff: sum("cutOff"), held: sum("held") };
  for (const group of groups) group.stop();
  return report;
}

async function beGood(): Promise<GoodReport> {
  const times: Record<string, number[]> = {};
  const failures: string[] = [];
  const end = performance.now() + order.duration;
  const ask = async (name: string, target: NetConnectOpts, agent: Agent | false): Promise<void> => {
    const mine: number[] = [];
    times[name] = mine;
    while (performance.now() < end) {
      const begun = performance.now();
      const outcome = await get(target, agent);
      mine.push(performance.now() - begun);
      if (outcome !== "200") failures.push(`${name}: ${outcome}`);
      await pause(20);
    }
  };
  const kinds = Object.entries(order.targets).flatMap(([name, target]) => [
    ask(`${name}, keep-alive`, target, new Agent({ keepAlive: true, maxSockets: 1 })),
    ask(`${name}, new connections`, target, false),
  ]);
  await Promise.all(kinds);
  return { times, failures };
}

async function get(target: NetConnectOpts, agent: Agent | false): Promise<string> {
  const sent = request({ ...target, agent, path: "/v1/policies", headers: { authorization }, timeout: 10_000 });
  sent.on("timeout", () => sent.destroy(new Error("no answer within 10 s")));
  sent.end();
  try {
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    response.resume();
    await once(response, "end");
    return String(response.statusCode);
  } catch (error) {
    return String(error);
  }
}

process.stdout.write(`${JSON.stringify(await (order.role === "slow" ? beSlow() : beGood()))}\n`, () => process.exit(0));
