// The door as other hosts meet it: TLS, client certificates, and the name by which it is called.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Certificate, createCertificate } from "../support/certificate.ts";
import { createDirectory, type TemporaryDirectory } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import { createNetwork, hostAddresses, type Network } from "../support/namespaces.ts";
import { startRemoteApi } from "../support/remote-api.ts";
import { root, type Service, startService } from "../support/service.ts";

const port = 7306;
const caller = "192.0.2.2";
const client = createCertificate(["192.0.2.2"]);
const names = ["cert.pem", "key.pem", "client-ca.pem"] as const;

describe("the door", () => {
  let network: Network;
  let directory: TemporaryDirectory;
  let service: Service;
  let served = createCertificate(Object.values(hostAddresses));

  const file = (name: (typeof names)[number]) => join(directory.path, name);
  const install = ({ cert, key }: Certificate): void => {
    writeFileSync(file("cert.pem"), cert);
    writeFileSync(file("key.pem"), key);
  };
  /** Connections that trust one certificate; a connection of its own for each request unless it is kept. */
  const connect = (ca: string, options: { readonly client?: Certificate; readonly keepAlive?: boolean } = { client }) => {
    const token = readFileSync(join(service.stateDirectory, "admin.token"), "utf8").trim();
    const { request } = startRemoteApi(network, { hosts: hostAddresses, port, ca, token, ...options }).from(caller);
    return async (headers: Readonly<Record<string, string>> = {}, path = "/v1/policies") =>
      (await request("GET", path, undefined, headers)).status;
  };
  const logged = (message: string) => eventually(`the log says: ${message}`, () => service.logs().includes(message));

  before(async () => {
    [network, directory] = await Promise.all([createNetwork(), createDirectory()]);
    install(served);
    writeFileSync(file("client-ca.pem"), client.cert);
    service = await startService({
      network,
      backend: "nft",
      tcpListener: `[::]:${port}`,
      env: {
        CONNLIMITD_LOG_LEVEL: "info",
        CONNLIMITD_TLS_CERT: file("cert.pem"),
        CONNLIMITD_TLS_KEY: file("key.pem"),
        CONNLIMITD_TLS_CLIENT_CA: file("client-ca.pem"),
        CONNLIMITD_ALLOWED_HOSTS: "fw.example.org",
      },
    });
    await eventually("the API answers over TLS", async () => (await connect(served.cert)()) === 200);
  });

  after(async () => {
    await service?.dispose();
    await network?.dispose();
    directory?.remove();
  });

  test("with a client CA, nobody without a certificate of it gets as far as a request", async () => {
    for (const options of [{}, { client: createCertificate([caller]) }]) {
      for (const path of ["/livez", "/v1/policies"]) await assert.rejects(connect(served.cert, options)({}, path), path);
    }
    assert.equal(await connect(served.cert)(), 200);
    assert.equal(await connect(served.cert)({ authorization: "Bearer wrong" }), 401, "a certificate is no token");
  });

  test("plain HTTP on a TLS listener is no way in", async () => {
    const answer = await network.tryExec("client", "bash", [
      "-c",
      `exec 3<>/dev/tcp/${hostAddresses[4]}/${port}; printf 'GET /livez HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' >&3; timeout 5 cat <&3`,
    ]);
    assert.doesNotMatch(answer.stdout, /alive/);
  });

  test("a request has to name an address that it listens on or a name that is allowed, whatever certificate and token it has", async () => {
    const get = connect(served.cert, { client, keepAlive: true });
    for (const host of [
      hostAddresses[4],
      `${hostAddresses[4]}:${port}`,
      `[${hostAddresses[6]}]`,
      "localhost",
      "FW.example.org:443",
    ]) {
      assert.equal(await get({ host }), 200, host);
    }
    for (const host of [
      "evil.example",
      "fw.example.org.evil.example",
      "192.0.2.3",
      "[2001:db8::3]",
      "fw.example.org@evil.example",
    ]) {
      for (const path of ["/v1/policies", "/livez", "/docs"]) assert.equal(await get({ host }, path), 403, `${host} ${path}`);
    }
    const answer = await service.request("GET", "/v1/policies", undefined, { host: "anything.example" });
    assert.equal(answer.status, 200, "which no web page can reach over a unix socket");
  });

  test("after SIGHUP new connections get the new certificate, and open ones go on", async () => {
    const [old, open] = [served, connect(served.cert, { client, keepAlive: true })];
    assert.equal(await open(), 200);
    served = createCertificate(Object.values(hostAddresses));
    install(served);
    await assert.rejects(connect(served.cert)(), "nothing has changed yet");
    assert.equal(await open(), 200);
    service.signal("SIGHUP");
    await logged("the TLS files are read again");
    assert.equal(await open(), 200, "over the connection that was there");
    assert.equal(await connect(served.cert)(), 200);
    await assert.rejects(connect(old.cert)());
    await assert.rejects(connect(served.cert, {})(), "clients need a certificate as before");
    assert.equal((await service.request("GET", "/livez")).status, 200, "and the unix socket is what it was");
  });

  for (const [what, write] of [
    ["a file that is no PEM", () => writeFileSync(file("cert.pem"), "-----BEGIN CERTIFICATE-----\nnonsense")],
    ["a key of another certificate", () => writeFileSync(file("key.pem"), createCertificate([caller]).key)],
    ["an empty client CA", () => writeFileSync(file("client-ca.pem"), "")],
  ] as const) {
    test(`after SIGHUP with ${what}, the certificate in use stays, and the log says why`, async () => {
      write();
      const before = service.logs().length;
      service.signal("SIGHUP");
      await eventually("it is logged", () => service.logs().slice(before).includes("those read before stay in use"));
      assert.match(service.logs().slice(before), /"level":50,.*"err":\{/);
      assert.equal(await connect(served.cert)(), 200);
      await assert.rejects(connect(served.cert, {})());
      install(served);
      writeFileSync(file("client-ca.pem"), client.cert);
    });
  }

  test("without TLS a SIGHUP is harmless, at any time", async () => {
    await service.kill();
    await using plain = await startService({ network, backend: "nft", env: { CONNLIMITD_LOG_LEVEL: "info" } });
    plain.signal("SIGHUP");
    await eventually("it is logged", () => plain.logs().includes("there are no TLS files"));
    assert.equal((await plain.request("GET", "/livez")).status, 200);
    assert.equal(await plain.stop(), 0);
  });

  test("it does not start where other hosts could reach it without TLS", async () => {
    const { code, stderr } = await network.tryExec("host", "env", [
      "-i",
      `PATH=${process.env["PATH"]}`,
      `CONNLIMITD_LISTEN=0.0.0.0:${port}`,
      `CONNLIMITD_STATE_DIR=${join(directory.path, "state")}`,
      process.execPath,
      join(root, "dist/main.js"),
    ]);
    assert.equal(code, 78);
    assert.match(stderr, /^connlimitd: CONNLIMITD_LISTEN: got "0\.0\.0\.0:7306", takes loopback .* CONNLIMITD_TLS_CERT[^\n]*\n$/);
  });
});
