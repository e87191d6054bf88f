import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { parseEnv } from "node:util";
import { type Config, ConfigError, loadConfig, loadDotEnv, variables } from "../src/config.ts";
import { formatNetwork } from "../src/domain/network.ts";

const directory = mkdtempSync(join(tmpdir(), "connlimitd-config-"));
after(() => rmSync(directory, { recursive: true }));

const pem = join(directory, "server.pem");
writeFileSync(pem, "-----BEGIN CERTIFICATE-----\n");
const tls = { CONNLIMITD_TLS_CERT: pem, CONNLIMITD_TLS_KEY: pem };

function listen(text: string, more: NodeJS.ProcessEnv = {}): Config["listeners"] {
  return loadConfig({ CONNLIMITD_LISTEN: text, ...more }).listeners;
}

function protect(text: string): readonly string[] {
  return loadConfig({ CONNLIMITD_PROTECT: text }).protect.map(formatNetwork);
}

function refusal(environment: NodeJS.ProcessEnv): string {
  try {
    loadConfig(environment);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.doesNotMatch(error.message, /\n/);
    return error.message;
  }
  return assert.fail(`accepted ${JSON.stringify(environment)}`);
}

test("an empty environment gives the documented defaults", () => {
  const { protect: networks, ...rest } = loadConfig({ PATH: "/usr/bin" });
  assert.deepEqual(rest, {
    listeners: [{ kind: "tcp", host: "127.0.0.1", port: 7306 }],
    stateDirectory: "/var/lib/connlimitd",
    backend: "auto",
    logLevel: "info",
    searchPath: "/usr/bin",
    lockFile: "/run/xtables.lock",
    tls: null,
    allowedHosts: [],
  });
  assert.deepEqual(networks.map(formatNetwork), ["127.0.0.0/8", "::1"]);
});

test("the environment example names every variable and gives the defaults", () => {
  const example = readFileSync(join(import.meta.dirname, "../deploy/connlimitd.env.example"), "utf8");
  assert.deepEqual(loadConfig(parseEnv(example)), loadConfig({}));
  assert.deepEqual(Object.keys(parseEnv(example.replaceAll("#CONNLIMITD_", "CONNLIMITD_"))).sort(), variables.toSorted());
});

test("the settings and their lists are frozen", () => {
  const config = loadConfig(tls);
  for (const part of [config, config.listeners, config.listeners[0], config.protect, config.tls, config.allowedHosts]) {
    assert.ok(Object.isFrozen(part));
  }
});

test("several listeners of both kinds are read, in their order", () => {
  assert.deepEqual(listen("127.0.0.1:0, [::1]:7306,localhost:80,unix:/run/connlimitd/api.sock"), [
    { kind: "tcp", host: "127.0.0.1", port: 0 },
    { kind: "tcp", host: "::1", port: 7306 },
    { kind: "tcp", host: "localhost", port: 80 },
    { kind: "unix", path: "/run/connlimitd/api.sock" },
  ]);
});

test("a listener in a form that is not known is refused with the reason", () => {
  const reasons: Readonly<Record<string, RegExp>> = {
    "": /takes host:port, \[v6\]:port or unix:\/path/,
    "127.0.0.1": /a port follows/,
    "127.0.0.1:": /port is a number/,
    "127.0.0.1:65536": /got "127\.0\.0\.1:65536", takes .* up to 65535/,
    "127.0.0.1:-1": /port is a number/,
    "127.0.0.1:80x": /port is a number/,
    "::1:7306": /brackets/,
    "[127.0.0.1]:80": /stands an IPv6 address/,
    ":7306": /host is a name or an address/,
    "010.0.0.1:80": /host is a name or an address/,
    "127.0.0.1:80,": /got ""/,
    "unix:api.sock": /absolute/,
    "unix:/run/": /names a file/,
    [`unix:/${"a".repeat(107)}`]: /up to 107 bytes/,
  };
  for (const [text, reason] of Object.entries(reasons)) assert.match(refusal({ CONNLIMITD_LISTEN: text }), reason);
});

test("a unix path of 107 bytes is the longest one accepted", () => {
  const path = `/${"ä".repeat(53)}`;
  assert.deepEqual(listen(`unix:${path}`), [{ kind: "unix", path }]);
  assert.match(refusal({ CONNLIMITD_LISTEN: `unix:${path}a` }), /107 bytes/);
});

test("the same listener twice is refused, however it is written", () => {
  for (const text of [
    "127.0.0.1:80,127.0.0.1:80",
    "[::1]:80,[0:0:0:0:0:0:0:1]:80",
    "unix:/a/b,unix:/a//b",
    "localhost:80,LOCALHOST:80",
  ]) {
    assert.match(refusal({ CONNLIMITD_LISTEN: text }), /there twice/);
  }
});

test("listening beyond loopback is refused without TLS", () => {
  for (const text of [
    "0.0.0.0:7306",
    "[::]:7306",
    "10.1.2.3:7306",
    "db1.example.net:7306",
    "[fe80::1%eth0]:7306",
    "unix:/a,192.0.2.1:80",
  ]) {
    assert.match(refusal({ CONNLIMITD_LISTEN: text }), /^CONNLIMITD_LISTEN: got .*CONNLIMITD_TLS_CERT and CONNLIMITD_TLS_KEY/);
    assert.ok(listen(text, tls).length > 0);
  }
});

test("all of 127.0.0.0/8 and the IPv4-mapped form of it are loopback", () => {
  assert.equal(listen("127.9.9.9:1,[::ffff:127.0.0.1]:2,[0:0::1]:3").length, 3);
});

test("a certificate and its key go together, and a client CA needs both", () => {
  assert.match(refusal({ CONNLIMITD_TLS_CERT: pem }), /^CONNLIMITD_TLS_KEY: got nothing, .*CONNLIMITD_TLS_CERT is set/);
  assert.match(refusal({ CONNLIMITD_TLS_KEY: pem }), /^CONNLIMITD_TLS_CERT: got nothing, .*CONNLIMITD_TLS_KEY is set/);
  assert.match(
    refusal({ CONNLIMITD_TLS_CLIENT_CA: pem }),
    /^CONNLIMITD_TLS_CERT: got nothing, .*CONNLIMITD_TLS_CLIENT_CA is set/,
  );
  assert.deepEqual(loadConfig({ ...tls, CONNLIMITD_TLS_CLIENT_CA: pem }).tls, { cert: pem, key: pem, clientCa: pem });
  assert.deepEqual(loadConfig(tls).tls, { cert: pem, key: pem, clientCa: null });
});

test("a TLS file that can't be read is refused with the cause", () => {
  assert.match(refusal({ ...tls, CONNLIMITD_TLS_KEY: "/none.pem" }), /^CONNLIMITD_TLS_KEY: got "\/none.pem", takes .*ENOENT/);
  assert.match(refusal({ ...tls, CONNLIMITD_TLS_CERT: directory }), /EISDIR/);
  assert.match(refusal({ ...tls, CONNLIMITD_TLS_CLIENT_CA: "" }), /^CONNLIMITD_TLS_CLIENT_CA: got ""/);
});

test("protected networks are added to loopback, each once and none inside another", () => {
  assert.deepEqual(protect(""), ["127.0.0.0/8", "::1"]);
  assert.deepEqual(protect("10.0.0.0/8, 10.0.0.0/8,10.1.0.0/16,127.0.0.1,2001:db8::/32"), [
    "10.0.0.0/8",
    "127.0.0.0/8",
    "::1",
    "2001:db8::/32",
  ]);
});

test("a protected network with host bits is refused with its canonical form", () => {
  assert.match(refusal({ CONNLIMITD_PROTECT: "10.0.0.1/24" }), /^CONNLIMITD_PROTECT: got "10\.0\.0\.1\/24", .*10\.0\.0\.0\/24/);
  assert.match(refusal({ CONNLIMITD_PROTECT: "10.0.0.0/8,,::1" }), /^CONNLIMITD_PROTECT: got ""/);
});

test("backend and log level take their words only", () => {
  assert.equal(loadConfig({ CONNLIMITD_BACKEND: "legacy" }).backend, "legacy");
  assert.equal(loadConfig({ CONNLIMITD_LOG_LEVEL: "silent" }).logLevel, "silent");
  assert.equal(refusal({ CONNLIMITD_BACKEND: "NFT" }), 'CONNLIMITD_BACKEND: got "NFT", takes auto, nft, legacy');
  assert.match(refusal({ CONNLIMITD_LOG_LEVEL: "" }), /^CONNLIMITD_LOG_LEVEL: got "", takes trace, .*silent$/);
});

test("the state directory becomes an absolute path and is never empty", () => {
  assert.equal(loadConfig({ CONNLIMITD_STATE_DIR: "state" }).stateDirectory, join(process.cwd(), "state"));
  assert.match(refusal({ CONNLIMITD_STATE_DIR: "" }), /^CONNLIMITD_STATE_DIR: got ""/);
});

test("allowed hosts are names or addresses without a port, in lower case", () => {
  const { allowedHosts } = loadConfig({ CONNLIMITD_ALLOWED_HOSTS: "Fw.Example.net, 192.0.2.1,[2001:db8::1],fw.example.net" });
  assert.deepEqual(allowedHosts, ["fw.example.net", "192.0.2.1", "2001:db8::1"]);
  for (const text of ["fw:80", "http://fw", "*", "a b"])
    assert.match(refusal({ CONNLIMITD_ALLOWED_HOSTS: text }), /without a port/);
});

test("an unknown variable with the service's prefix is refused with the nearest known one", () => {
  assert.match(refusal({ CONNLIMITD_LISTENS: "x" }), /^CONNLIMITD_LISTENS: got "x", .* CONNLIMITD_LISTEN$/);
  assert.match(refusal({ CONNLIMITD_STATEDIR: "" }), / CONNLIMITD_STATE_DIR$/);
  assert.match(refusal({ CONNLIMITD_TLS_CLIENTCA: "" }), / CONNLIMITD_TLS_CLIENT_CA$/);
});

test("a value with line breaks is quoted on the one line of the message", () => {
  assert.equal(refusal({ CONNLIMITD_BACKEND: "a\nb" }), 'CONNLIMITD_BACKEND: got "a\\nb", takes auto, nft, legacy');
});

test("a .env file adds to the environment and never overrides it", () => {
  const path = join(directory, ".env");
  writeFileSync(path, "CONNLIMITD_BACKEND=nft\nCONNLIMITD_LOG_LEVEL=debug\n");
  process.env["CONNLIMITD_BACKEND"] = "legacy";
  loadDotEnv(path);
  const { backend, logLevel } = loadConfig(process.env);
  for (const name of variables) delete process.env[name];
  assert.deepEqual({ backend, logLevel }, { backend: "legacy", logLevel: "debug" });
});

test("a missing .env is no error, and one that can't be read is", () => {
  loadDotEnv(join(directory, "none.env"));
  const path = join(directory, "directory.env");
  mkdirSync(path);
  assert.throws(() => loadDotEnv(path), ConfigError);
});
