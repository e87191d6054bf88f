// A host that can be shut out of: an API over TLS, a port for SSH, default routes over the client's side.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createSurroundings } from "../../src/netfilter/surroundings.ts";
import { createCertificate } from "../support/certificate.ts";
import { createDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import { sendWrite, type Write } from "../support/foresight.ts";
import type { Backend } from "../support/kernel.ts";
import { createNetwork, hostAddresses, type Network } from "../support/namespaces.ts";
import { type RemoteApi, startRemoteApi } from "../support/remote-api.ts";
import { protectedNetworks } from "../support/scene.ts";
import { type Service, startService } from "../support/service.ts";
import { startTraffic, type Traffic } from "../support/traffic.ts";

export const apiPort = 7306;
const nothing = async (): Promise<void> => {};
/** Where the sshd of this machine would listen. */
export const [sshPort = 22] = createSurroundings({
  connections: { scanSockets: nothing, scanRecentSockets: nothing },
}).sshPorts();
export const web = 7400;
/** The client's side of the wire is the way to everywhere. */
export const gateways = { 4: "192.0.2.2", 6: "2001:db8::2" } as const;

/** What stands on the stage. */
export interface GuardedScene {
  readonly network: Network;
  readonly traffic: Traffic;
  readonly service: Service;
  /** The API over TLS, from any address. */
  readonly remote: RemoteApi;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** @param ports those with echo servers */
export async function createGuardedScene(backend: Backend, ports: readonly number[] = [sshPort, web]): Promise<GuardedScene> {
  const [network, directory] = await Promise.all([createNetwork(), createDirectory()]);
  const dispose = async (): Promise<void> => {
    await network.dispose();
    directory.remove();
  };
  try {
    await network.exec("host", "ip", ["-4", "route", "add", "default", "via", gateways[4]]);
    await network.exec("host", "ip", ["-6", "route", "add", "default", "via", gateways[6]]);
    const { cert, key } = createCertificate(Object.values(hostAddresses));
    const [certFile, keyFile] = [join(directory.path, "cert.pem"), join(directory.path, "key.pem")];
    await Promise.all([writeFile(certFile, cert), writeFile(keyFile, key)]);
    const [traffic, service] = await Promise.all([
      startTraffic(network, ...ports),
      startService({
        network,
        backend,
        tcpListener: `[::]:${apiPort}`,
        env: {
          CONNLIMITD_PROTECT: protectedNetworks.join(","),
          CONNLIMITD_TLS_CERT: certFile,
          CONNLIMITD_TLS_KEY: keyFile,
          CONNLIMITD_ALLOWED_HOSTS: Object.values(hostAddresses).join(","),
        },
      }),
    ]);
    const token = readFileSync(join(service.stateDirectory, "admin.token"), "utf8").trim();
    const remote = startRemoteApi(network, { hosts: hostAddresses, port: apiPort, ca: cert, token });
    // The unix socket is served first.
    await eventually("the API answers over TLS", async () => {
      const answers = Object.values(gateways).map((address) => remote.from(address).request("GET", "/readyz"));
      return (await Promise.all(answers)).every(({ status }) => status === 200);
    });
    const disposeAll = async (): Promise<void> => {
      await service.dispose();
      await dispose();
    };
    return { network, traffic, service, remote, dispose: disposeAll, [Symbol.asyncDispose]: disposeAll };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Asserts that a write is refused because it would shut somebody out, with the field at fault if there are several. */
export async function assertLockout(
  caller: Pick<Service, "request">,
  write: Write,
  why: RegExp,
  pointer?: string,
): Promise<void> {
  const { status, body } = await sendWrite(caller, write);
  const what = `${write.method} ${write.path} ${JSON.stringify(write.body)}: ${JSON.stringify(body)}`;
  assert.equal(status, 409, what);
  const { type, detail, errors } = body as {
    readonly type: string;
    readonly detail: string;
    readonly errors?: readonly { readonly pointer: string; readonly message: string }[];
  };
  assert.equal(type, "/problems/lockout", what);
  if (pointer === undefined) return assert.match(detail, why, what);
  const message = errors?.find((error) => error.pointer === pointer || error.pointer === `#${pointer}`)?.message;
  assert.match(message ?? "", why, what);
}
