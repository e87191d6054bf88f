// Tokens and the audit of a service that is killed: what was acknowledged is there, and no change is without its entry.
import assert from "node:assert/strict";
import { test } from "node:test";
import { apiOf } from "../support/api.ts";
import { createNetwork, type Network } from "../support/namespaces.ts";
import { type Service, startService } from "../support/service.ts";

const listener = "127.0.0.1:7306";

/** The status of a GET over TCP with this token, asked from inside the host. */
async function statusOver(network: Network, token: string, path: string): Promise<number> {
  const script = `fetch("http://${listener}${path}", { headers: { authorization: "Bearer ${token}" } }).then(({ status }) => console.log(status))`;
  return Number(await network.exec("host", process.execPath, ["-e", script]));
}

async function issue(service: Service, name: string): Promise<string> {
  const { status, body } = await service.request("POST", "/v1/tokens", { name, scopes: ["read"] });
  assert.equal(status, 201);
  return (body as { readonly token: string }).token;
}

/** Puts bans until the service is gone; the addresses that it acknowledged. */
async function writeUntilKilled(service: Service, writer: number): Promise<readonly string[]> {
  const acknowledged: string[] = [];
  try {
    for (let host = 1; host < 250; host += 1) {
      const address = `10.9.${writer}.${host}`;
      await service.request("PUT", `/v1/bans/${address}`, {});
      acknowledged.push(address);
    }
  } catch {
    // The connection ended with the process.
  }
  return acknowledged;
}

/** The resources in the audit with this action. */
async function audited(service: Service, action: string): Promise<readonly string[]> {
  const resources: string[] = [];
  for (let cursor = ""; ; ) {
    const { body } = await service.request("GET", `/v1/audit?limit=1000&action=${action}${cursor}`);
    const page = body as { readonly items: readonly { readonly resource: string }[]; readonly nextCursor: string | null };
    resources.push(...page.items.map(({ resource }) => resource));
    if (page.nextCursor === null) return resources;
    cursor = `&cursor=${page.nextCursor}`;
  }
}

test("tokens and the audit outlive a SIGKILL among writers, and the audit has every ban that is there and no other", async () => {
  await using network = await createNetwork();
  await using service = await startService({
    network,
    backend: "nft",
    tcpListener: listener,
    env: { CONNLIMITD_LOG_LEVEL: "debug" },
  });
  const [kept, revoked] = [await issue(service, "kept"), await issue(service, "revoked")];
  assert.equal(await statusOver(network, revoked, "/v1/bans"), 200);
  assert.equal((await service.request("DELETE", "/v1/tokens/revoked")).status, 204);
  assert.equal(await statusOver(network, revoked, "/v1/bans"), 401);

  const writers = [1, 2, 3, 4, 5, 6, 7, 8].map((writer) => writeUntilKilled(service, writer));
  for (let entries = 0; entries < 40; entries = (await audited(service, "ban.put")).length);
  await service.kill();
  const acknowledged = (await Promise.all(writers)).flat();
  await service.restart();

  const entries = await audited(service, "ban.put");
  const bans = await apiOf(service).bans({ by: "operator" });
  assert.deepEqual([...entries].sort(), bans.map(({ address }) => `bans/${address}`).sort());
  assert.ok(acknowledged.length > 0 && acknowledged.every((address) => entries.includes(`bans/${address}`)));
  assert.deepEqual(await audited(service, "token.create"), ["tokens/revoked", "tokens/kept"]);
  assert.deepEqual(await audited(service, "token.delete"), ["tokens/revoked"]);
  assert.equal(await statusOver(network, kept, "/v1/bans"), 200);
  assert.equal(await statusOver(network, kept, "/v1/audit"), 403);
  assert.equal(await statusOver(network, revoked, "/v1/bans"), 401);
  assert.ok(![kept, revoked].some((secret) => service.logs().includes(secret)), "no log has a secret");
});
