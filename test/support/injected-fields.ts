import type { InjectOptions } from "fastify";

/** Puts a text into one field of a request whose other fields are good. */
export interface InjectedField {
  readonly name: string;
  request(text: string): InjectOptions;
}

type Method = NonNullable<InjectOptions["method"]>;

const policy = { ports: [3306], maxConnections: 2, ban: { seconds: 60 }, exempt: ["10.0.0.0/8"] };
const json = { "content-type": "application/json" };

const bodyFields: readonly (readonly [Method, string, string, (text: string) => unknown])[] = [
  ["POST", "/v1/policies", "name", (name) => ({ ...policy, name })],
  ["PUT", "/v1/policies/web", "name", (name) => ({ ...policy, name })],
  ["PUT", "/v1/policies/web", "description", (description) => ({ ...policy, description })],
  ["PUT", "/v1/policies/web", "protocol", (protocol) => ({ ...policy, protocol })],
  ["PUT", "/v1/policies/web", "ports", (port) => ({ ...policy, ports: [port] })],
  ["PUT", "/v1/policies/web", "maxConnections", (maxConnections) => ({ ...policy, maxConnections })],
  ["PUT", "/v1/policies/web", "countPer", (ipv4Prefix) => ({ ...policy, countPer: { ipv4Prefix } })],
  ["PUT", "/v1/policies/web", "ban.seconds", (seconds) => ({ ...policy, ban: { seconds } })],
  ["PUT", "/v1/policies/web", "ban.scope", (scope) => ({ ...policy, ban: { seconds: 60, scope } })],
  ["PUT", "/v1/policies/web", "rejectWith", (rejectWith) => ({ ...policy, rejectWith })],
  ["PUT", "/v1/policies/web", "exempt", (network) => ({ ...policy, exempt: [network] })],
  ["PUT", "/v1/policies/web", "mode", (mode) => ({ ...policy, mode })],
  ["PUT", "/v1/policies/web", "a field", (field) => ({ ...policy, [field]: 1 })],
  ["PATCH", "/v1/policies/web", "description", (description) => ({ description })],
  ["PATCH", "/v1/policies/web", "exempt", (network) => ({ exempt: [network] })],
  ["POST", "/v1/bans", "address", (address) => ({ address })],
  ["POST", "/v1/bans", "reason", (reason) => ({ address: "203.0.113.9", reason })],
  ["PUT", "/v1/bans/203.0.113.9", "reason", (reason) => ({ reason, ttlSeconds: 600 })],
  ["PUT", "/v1/bans/2001:db8::1", "reason", (reason) => ({ reason })],
  ["PUT", "/v1/bans/203.0.113.9", "ttlSeconds", (ttlSeconds) => ({ ttlSeconds })],
  ["PUT", "/v1/bans/203.0.113.9", "expiresAt", (expiresAt) => ({ expiresAt })],
  ["PUT", "/v1/bans/203.0.113.9", "sever", (sever) => ({ sever })],
  ["POST", "/v1/bans/batch", "put", (address) => ({ put: [{ address, reason: "batch" }] })],
  ["POST", "/v1/bans/batch", "reason", (reason) => ({ put: [{ address: "198.51.100.0/24", reason }] })],
  ["POST", "/v1/bans/batch", "delete", (address) => ({ delete: [address] })],
  ["POST", "/v1/tokens", "name", (name) => ({ name, scopes: ["read"] })],
  ["POST", "/v1/tokens", "scopes", (scope) => ({ name: "ci", scopes: [scope] })],
];

const paths: readonly (readonly [Method, (part: string) => string, unknown?])[] = [
  ["PUT", (name) => `/v1/policies/${name}`, policy],
  ["GET", (name) => `/v1/policies/${name}/offenders`],
  ["DELETE", (name) => `/v1/policies/${name}`],
  ["PUT", (address) => `/v1/bans/${address}`, { reason: "path" }],
  ["DELETE", (address) => `/v1/bans/${address}`],
  ["GET", (ip) => `/v1/check/${ip}`],
  ["GET", (list) => `/v1/recent/${list}`],
  ["POST", (id) => `/v1/confirmations/${id}`],
  ["DELETE", (name) => `/v1/tokens/${name}`],
  ["GET", (slug) => `/problems/${slug}`],
  ["GET", (any) => `/${any}`],
];

const queries = [
  ["/v1/bans", "covers"],
  ["/v1/bans", "within"],
  ["/v1/bans", "policy"],
  ["/v1/bans", "by"],
  ["/v1/bans", "limit"],
  ["/v1/bans", "cursor"],
  ["/v1/policies", "cursor"],
  ["/v1/connections", "port"],
  ["/v1/audit", "actor"],
  ["/v1/audit", "resource"],
  ["/v1/audit", "since"],
] as const;

const headers = ["authorization", "host", "if-match", "if-none-match", "content-type", "x-request-id", "user-agent"] as const;

/** Every field of every kind: of bodies, of paths, of queries, and of headers. */
export const injectedFields: readonly InjectedField[] = [
  ...bodyFields.map(([method, url, name, body]) => ({
    name: `${method} ${url} ${name}`,
    request: (text: string) => ({ method, url, payload: JSON.stringify(body(text)), headers: json }),
  })),
  ...paths.map(([method, path, body]) => ({
    name: `${method} ${path("{}")}`,
    request: (text: string) => ({
      method,
      url: path(encoded(text)),
      ...(body === undefined ? {} : { payload: JSON.stringify(body), headers: json }),
    }),
  })),
  ...queries.map(([path, name]) => ({
    name: `GET ${path}?${name}`,
    request: (text: string) => ({ method: "GET" as const, url: `${path}?${name}=${encoded(text)}` }),
  })),
  ...headers.map((name) => ({
    name: `the header ${name}`,
    request: (text: string) => ({
      method: "PUT" as const,
      url: "/v1/bans/203.0.113.9",
      payload: "{}",
      headers: { ...json, [name]: text },
    }),
  })),
];

/** As it stands in a target; half a surrogate pair is sent as the bytes that it would have. */
function encoded(text: string): string {
  return [...text].map((character) => (character.isWellFormed() ? encodeURIComponent(character) : "%ED%A0%80")).join("");
}
