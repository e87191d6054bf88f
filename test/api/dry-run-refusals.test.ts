import assert from "node:assert/strict";
import { test } from "node:test";
import { isRecord } from "../../src/api/requests/schema-words.ts";
import { DomainError } from "../../src/domain/errors.ts";
import type { Answer } from "./documented-answer.ts";
import { type Api, assertProblem, ciToken, startApi } from "./service.ts";

const policy = { ports: [3306], maxConnections: 2 };
const onApiPort = { ports: [7306], maxConnections: 1 };
const asCi = { authorization: `Bearer ${ciToken}` };

const otherVersion = { "if-match": '"other"' };

interface Refusal {
  readonly write: readonly ["POST" | "PUT" | "PATCH" | "DELETE", string, object?];
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly slug: string;
  readonly pointers?: readonly string[];
}

/** All of it is refused in the state that `startRefusing` leaves. */
const refusals: readonly Refusal[] = [
  {
    write: ["POST", "/v1/policies", { name: "mysql" }],
    status: 400,
    slug: "invalid-input",
    pointers: ["/ports", "/maxConnections"],
  },
  {
    write: ["PUT", "/v1/policies/mysql", { ...policy, exempt: ["10.0.0.1/8"] }],
    status: 400,
    slug: "invalid-input",
    pointers: ["/exempt/0"],
  },
  { write: ["PUT", "/v1/bans/203.0.113.9", { ttlSeconds: 0 }], status: 400, slug: "invalid-input", pointers: ["/ttlSeconds"] },
  { write: ["POST", "/v1/bans/batch", {}], status: 400, slug: "invalid-input", pointers: [""] },
  { write: ["PATCH", "/v1/policies/none", {}], status: 404, slug: "not-found" },
  { write: ["DELETE", "/v1/policies/none"], status: 404, slug: "not-found" },
  { write: ["DELETE", "/v1/bans/203.0.113.77"], status: 404, slug: "not-found" },
  { write: ["POST", "/v1/policies", { name: "web", ...policy }], status: 409, slug: "already-exists" },
  { write: ["POST", "/v1/bans", { address: "203.0.113.200" }], status: 409, slug: "already-exists" },
  { write: ["POST", "/v1/policies", { name: "api", ...onApiPort }], status: 409, slug: "lockout" },
  { write: ["PUT", "/v1/policies/web", onApiPort], status: 409, slug: "lockout" },
  { write: ["PATCH", "/v1/policies/web", onApiPort], status: 409, slug: "lockout" },
  { write: ["POST", "/v1/bans", { address: "198.51.100.7" }], status: 409, slug: "lockout" },
  { write: ["PUT", "/v1/bans/198.51.100.0%2F24", {}], status: 409, slug: "lockout" },
  { write: ["PUT", "/v1/bans/127.0.0.1?allowLockout=true", {}], status: 409, slug: "lockout" },
  {
    write: ["POST", "/v1/bans/batch", { put: [{ address: "203.0.113.9" }, { address: "198.51.100.7" }] }],
    status: 409,
    slug: "lockout",
    pointers: ["/put/1/address"],
  },
  { write: ["PUT", "/v1/policies/waiting", onApiPort], status: 409, slug: "unconfirmed" },
  { write: ["PATCH", "/v1/policies/waiting", {}], status: 409, slug: "unconfirmed" },
  { write: ["DELETE", "/v1/policies/waiting"], status: 409, slug: "unconfirmed" },
  { write: ["PUT", "/v1/policies/web", policy], headers: otherVersion, status: 412, slug: "precondition-failed" },
  { write: ["PATCH", "/v1/policies/web", policy], headers: otherVersion, status: 412, slug: "precondition-failed" },
  { write: ["DELETE", "/v1/policies/web"], headers: otherVersion, status: 412, slug: "precondition-failed" },
  {
    write: ["POST", "/v1/policies", { name: "web", ...policy }],
    headers: { "if-none-match": "*" },
    status: 412,
    slug: "precondition-failed",
  },
  {
    write: ["PUT", "/v1/bans/203.0.113.200", {}],
    headers: { "if-none-match": "*" },
    status: 412,
    slug: "precondition-failed",
  },
  {
    write: ["POST", "/v1/bans", { address: "203.0.113.201" }],
    headers: { "if-match": "*" },
    status: 412,
    slug: "precondition-failed",
  },
  { write: ["DELETE", "/v1/bans/203.0.113.200"], headers: otherVersion, status: 412, slug: "precondition-failed" },
  { write: ["POST", "/v1/policies", { name: "mysql", ...policy }], status: 422, slug: "kernel-refused" },
  { write: ["PUT", "/v1/policies/mysql", policy], status: 422, slug: "kernel-refused" },
  { write: ["PATCH", "/v1/policies/web", { maxConnections: 9 }], status: 422, slug: "kernel-refused" },
  { write: ["POST", "/v1/bans", { address: "192.0.2.0/24" }], status: 422, slug: "network-unsupported" },
  { write: ["PUT", "/v1/bans/192.0.2.0%2F24", {}], status: 422, slug: "network-unsupported" },
  {
    write: ["POST", "/v1/bans/batch", { put: [{ address: "192.0.2.0/24" }] }],
    status: 422,
    slug: "network-unsupported",
    pointers: ["/put/0/address"],
  },
  { write: ["POST", "/v1/bans", { address: "203.0.113.9" }], status: 507, slug: "no-room" },
  { write: ["PUT", "/v1/bans/203.0.113.9", {}], status: 507, slug: "no-room" },
  { write: ["POST", "/v1/bans/batch", { put: [{ address: "203.0.113.9" }] }], status: 507, slug: "no-room" },
  { write: ["PUT", "/v1/policies/web?allowLockout=true", policy], headers: asCi, status: 403, slug: "insufficient-scope" },
  { write: ["DELETE", "/v1/bans/203.0.113.200?allowLockout=true"], headers: asCi, status: 403, slug: "insufficient-scope" },
];

/** Policies `web` and `waiting`, which waits for a confirmation; a full list of bans; a kernel that refuses all rules; a caller at 198.51.100.7. */
async function startRefusing(t: Parameters<typeof startApi>[0], { slug }: Refusal): Promise<Api> {
  const api = await startApi(t);
  api.setPeer("198.51.100.7");
  await api.send("PUT", "/v1/policies/web", policy);
  await api.send("PUT", "/v1/policies/waiting?confirmWithin=60", policy);
  await api.send("PUT", "/v1/bans/203.0.113.200", {});
  api.firewall.setBanRoom({ capacity: 1, networks: slug !== "network-unsupported" });
  api.firewall.failChecks(new DomainError("kernel-refused", "iptables-restore: line 3 failed"));
  return api;
}

for (const refusal of refusals) {
  const { write, headers, status, slug, pointers } = refusal;
  const [method, url, body] = write;
  const given = [JSON.stringify(body), JSON.stringify(headers)].filter((text) => text !== undefined).join(" ");
  test(`what ${method} ${url} ${given} is refused for (${status} ${slug}), its dry run is refused for too`, async (t) => {
    const api = await startRefusing(t, refusal);
    const revision = api.store.revision();
    const dry = await api.send(method, `${url}${url.includes("?") ? "&" : "?"}dryRun=true`, body, headers);
    assertProblem(dry, status, slug, pointers);
    const real = await api.send(method, url, body, headers);
    assert.deepEqual(problemOf(dry), problemOf(real));
    for (const answer of [dry, real]) assert.equal(answer.headers["connlimitd-changed"], "false");
    assert.equal(api.store.revision(), revision);
  });
}

function problemOf({ body }: Answer): object {
  assert.ok(isRecord(body));
  const { instance: _, ...problem } = body;
  return problem;
}
