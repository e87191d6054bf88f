import { styleText } from "node:util";
import { type Agent, type Attempt, startAgents } from "../test/support/agent.ts";
import { eventually } from "../test/support/eventually.ts";
import { createNetwork, hostAddresses } from "../test/support/namespaces.ts";
import { type Service, startService } from "../test/support/service.ts";

const mysqlPort = 3306;
const sshPort = 22;
const greedy = "10.9.0.66";
const modest = "10.9.0.7";
const policy = { ports: [mysqlPort], maxConnections: 2, ban: { seconds: 12 } };

interface BanList {
  readonly items: readonly {
    readonly address: string;
    readonly expiresAt: string;
    readonly causes: readonly { readonly policy?: string }[];
  }[];
}

const say = (text = ""): void => void process.stdout.write(`${text}\n`);
const step = (text: string): void => say(`\n${styleText("bold", text)}`);
const indent = (text: string): void => say(`    ${text}`);

/** Builds two hosts out of network namespaces, lets clients misbehave, and shows what the service makes of it. */
async function main(): Promise<void> {
  say("connlimitd: two hosts in network namespaces of their own; this machine's firewall is not touched.");
  await using network = await createNetwork();
  const { host: server, client: clients } = startAgents(network);
  for (const port of [mysqlPort, sshPort]) await server.listen(hostAddresses[4], port);
  indent(`a server listens on ${hostAddresses[4]}, ports ${mysqlPort} and ${sshPort}`);
  await using service = await startService({ network, backend: "nft" });
  indent("connlimitd runs beside it");

  step(`1. PUT /v1/policies/mysql ${JSON.stringify(policy)}`);
  const put = await service.request("PUT", "/v1/policies/mysql", policy);
  indent(`${put.status}: no source holds more than 2 connections; who tries is banned for ${policy.ban.seconds} s`);

  step("2. A modest client opens two connections to MySQL, a greedy one three");
  for (let count = 1; count <= 2; count += 1) await attempt(clients, modest, mysqlPort);
  for (let count = 1; count <= 3; count += 1) await attempt(clients, greedy, mysqlPort);

  step("3. The greedy one is banned on every port; the modest one is not");
  await attempt(clients, greedy, sshPort);
  await attempt(clients, modest, sshPort);

  step("4. GET /v1/bans: the kernel made that ban by itself");
  await countDown(service, 3);

  step(`5. DELETE /v1/bans/${greedy}`);
  const removal = await service.request("DELETE", `/v1/bans/${greedy}`);
  indent(`${removal.status}: lifted`);
  await attempt(clients, greedy, sshPort);

  step("6. It tries a third connection again, is banned again, and this time the ban ends by itself");
  await attempt(clients, greedy, mysqlPort);
  await countDown(service, Number.POSITIVE_INFINITY);
  await attempt(clients, greedy, sshPort);

  step("7. The rules that did it (iptables-save, shortened)");
  const saved = await network.exec("host", "iptables-nft-save", ["-t", "filter"]);
  for (const line of saved.split("\n").filter((one) => one.startsWith("-A") && !/CANARY|REFUSE/.test(one))) {
    indent(line.replace(/ -m comment --comment "[^"]*"/, ""));
  }
  step("Everything is removed again.");
}

async function attempt(clients: Agent, from: string, port: number): Promise<Attempt> {
  const result = await clients.connect({ from, to: hostAddresses[4], port });
  const word = result.outcome === "connected" ? styleText("green", result.outcome) : styleText("red", result.outcome);
  indent(`${from.padEnd(10)} → port ${String(port).padEnd(5)} ${word}`);
  return result;
}

/** Prints the ban list once a second, at most `lines` times, until it is empty. */
async function countDown(service: Service, lines: number): Promise<void> {
  let shown = -1;
  let printed = 0;
  await eventually(
    "the ban list has been shown",
    async () => {
      const { items } = (await service.request("GET", "/v1/bans")).body as BanList;
      const [ban] = items;
      if (ban === undefined) {
        indent("the ban list is empty");
        return true;
      }
      const left = Math.ceil((Date.parse(ban.expiresAt) - Date.now()) / 1000);
      if (left !== shown) {
        indent(`${ban.address}  because of ${ban.causes[0]?.policy}  ${left} s left`);
        printed += 1;
      }
      shown = left;
      return printed >= lines;
    },
    { within: (policy.ban.seconds + 5) * 1000 },
  );
}

await main();
