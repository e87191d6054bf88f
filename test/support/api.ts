import assert from "node:assert/strict";
import type { Answer, Service } from "./service.ts";

/** What a test sends as a policy. */
export interface PolicyInput {
  readonly description?: string;
  readonly ports: readonly number[];
  readonly maxConnections: number;
  readonly countPer?: { readonly ipv4Prefix?: number; readonly ipv6Prefix?: number };
  readonly ban?: { readonly seconds: number; readonly scope?: "host" | "ports"; readonly renewOnAttempt?: boolean } | null;
  readonly rejectWith?: "tcp-reset" | "icmp-port-unreachable" | "drop";
  readonly exempt?: readonly string[];
  readonly mode?: "enforce" | "observe" | "off";
}

/** A policy as the contract shows it. */
export interface PolicyResource extends Required<Omit<PolicyInput, "ban" | "countPer">> {
  readonly name: string;
  readonly protocol: "tcp";
  readonly countPer: { readonly ipv4Prefix: number; readonly ipv6Prefix: number };
  readonly ban: { readonly seconds: number; readonly scope: "host" | "ports"; readonly renewOnAttempt: boolean } | null;
  readonly revision: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly enforcement: { readonly state: "enforced" | "pending" | "off"; readonly since?: string; readonly message?: string };
}

/** One cause of a ban as the contract shows it. */
export interface CauseResource {
  readonly by: "operator" | "policy";
  readonly actor?: string;
  readonly reason?: string;
  readonly policy?: string;
  readonly since: string;
  readonly expiresAt: string | null;
}

/** A ban as the contract shows it. */
export interface BanResource {
  readonly address: string;
  readonly expiresAt: string | null;
  readonly enforced: boolean;
  readonly causes: readonly CauseResource[];
}

/** The same as the answer to a write. */
export interface WrittenBan extends BanResource {
  readonly severed: number | null;
}

/** What a test asks of an operator's ban. */
export interface BanInput {
  readonly reason?: string;
  readonly ttlSeconds?: number;
  readonly expiresAt?: string;
  readonly sever?: boolean;
}

/** What a batch did. */
export interface BatchResource {
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  readonly unchanged: number;
  readonly severed: number | null;
}

/** A source over the limit as the contract shows it. */
export interface OffenderResource {
  readonly source: string;
  readonly lastSeenAt: string;
  readonly bannedUntil: string | null;
}

/** What would happen to an address, as the contract shows it. */
export interface CheckResource {
  readonly address: string;
  readonly verdict: "allowed" | "banned" | "limited" | "protected";
  readonly bans: readonly BanResource[];
  readonly policies: readonly {
    readonly name: string;
    readonly openConnections: number;
    readonly overLimit: boolean;
    readonly exempt: boolean;
    readonly bannedUntil: string | null;
  }[];
  readonly graceUntil: string | null;
  readonly shadowedBy: readonly string[];
  readonly enforced: boolean;
}

/** One page of open connections. */
export interface ConnectionsResource {
  readonly items: readonly { readonly source: string; readonly connections: number }[];
  readonly distribution: Readonly<Record<"sources" | "connections" | "max" | "p99" | "p50", number>>;
}

/** What kernel tests look at in the status. */
export interface StatusResource {
  readonly state: "ok" | "warning" | "failing";
  readonly backend: {
    readonly name: string;
    readonly otherBackendInUse: boolean;
    readonly ipset: { readonly available: boolean };
  };
  readonly passes: {
    readonly lastAt: string | null;
    readonly repairs: {
      readonly count: number;
      readonly latest: readonly { readonly at: string; readonly found: readonly string[] }[];
    };
  };
  readonly bans: { readonly policyBans: number; readonly notEnforced: number; readonly networks: boolean };
  readonly lists: readonly {
    readonly name: string;
    readonly kind: string;
    readonly entries: number;
    readonly capacity: number;
  }[];
  readonly shadowedBy: readonly string[];
  readonly countsForgottenAt: string | null;
  readonly overLimit: readonly { readonly policy: string; readonly source: string; readonly connections: number }[];
  readonly warnings: readonly { readonly code: string; readonly message: string; readonly remedy: string }[];
}

/** An xt_recent list in the list of lists. */
export interface RecentSummary {
  readonly name: string;
  readonly own: boolean;
  readonly entries: number;
  readonly capacity: number;
}

/** An xt_recent list with its entries. */
export interface RecentResource extends Omit<RecentSummary, "entries"> {
  readonly entries: readonly { readonly address: string; readonly lastSeenAt: string; readonly seenAt: readonly string[] }[];
}

/** The HTTP API in the words of a kernel test. Each call asserts that it succeeded; use `Service.request` where it should not. */
export interface Api {
  putPolicy(name: string, policy: PolicyInput): Promise<PolicyResource>;
  patchPolicy(name: string, patch: Partial<PolicyInput>): Promise<PolicyResource>;
  deletePolicy(name: string): Promise<void>;
  policies(): Promise<readonly PolicyResource[]>;
  offenders(name: string): Promise<readonly OffenderResource[]>;
  putBan(address: string, ban?: BanInput): Promise<WrittenBan>;
  deleteBan(address: string, graceSeconds?: number): Promise<void>;
  batch(body: {
    readonly put?: readonly (BanInput & { readonly address: string })[];
    readonly delete?: readonly string[];
  }): Promise<BatchResource>;
  /** `undefined` where there is none. */
  ban(address: string): Promise<BanResource | undefined>;
  /** Every page of the list. */
  bans(query?: Readonly<Record<string, string>>): Promise<readonly BanResource[]>;
  check(address: string): Promise<CheckResource>;
  connections(query?: Readonly<Record<string, string>>): Promise<ConnectionsResource>;
  status(): Promise<StatusResource>;
  recentLists(): Promise<readonly RecentSummary[]>;
  recentList(name: string): Promise<RecentResource>;
}

/** The path of one ban. */
export function banPath(address: string): string {
  return `/v1/bans/${encodeURIComponent(address)}`;
}

export function apiOf(service: Service): Api {
  const policy = async (method: string, name: string, body: unknown, type = "application/json"): Promise<PolicyResource> => {
    const answer = await service.request(method, `/v1/policies/${name}`, body, { "content-type": type });
    const resource = bodyOf<PolicyResource>(answer, 200, 201);
    assert.equal(resource.enforcement.state, resource.mode === "off" ? "off" : "enforced");
    return resource;
  };
  const get = async <T>(path: string): Promise<T> => bodyOf(await service.request("GET", path), 200);
  const everyPage = async <T>(path: string, query: Readonly<Record<string, string>>): Promise<readonly T[]> => {
    const items: T[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const parameters = new URLSearchParams({ ...query, limit: "1000", ...(cursor === "" ? {} : { cursor }) });
      const page: { items: T[]; nextCursor: string | null } = bodyOf(await service.request("GET", `${path}?${parameters}`), 200);
      items.push(...page.items);
      cursor = page.nextCursor;
    }
    return items;
  };
  return {
    putPolicy: (name, body) => policy("PUT", name, body),
    patchPolicy: (name, patch) => policy("PATCH", name, patch, "application/merge-patch+json"),
    async deletePolicy(name) {
      bodyOf(await service.request("DELETE", `/v1/policies/${name}`), 204);
    },
    policies: () => everyPage("/v1/policies", {}),
    offenders: (name) => everyPage(`/v1/policies/${name}/offenders`, {}),
    putBan: async (address, body = {}) => bodyOf(await service.request("PUT", banPath(address), body), 200, 201),
    async deleteBan(address, graceSeconds) {
      const query = graceSeconds === undefined ? "" : `?graceSeconds=${graceSeconds}`;
      bodyOf(await service.request("DELETE", `${banPath(address)}${query}`), 204);
    },
    batch: async (body) => bodyOf(await service.request("POST", "/v1/bans/batch", body), 200),
    async ban(address) {
      const answer = await service.request("GET", banPath(address));
      return answer.status === 404 ? undefined : bodyOf(answer, 200);
    },
    bans: (query = {}) => everyPage("/v1/bans", query),
    check: (address) => get(`/v1/check/${encodeURIComponent(address)}`),
    connections: (query = {}) => get(`/v1/connections?${new URLSearchParams(query)}`),
    status: () => get("/v1/status"),
    recentLists: () => everyPage("/v1/recent", {}),
    recentList: (name) => get(`/v1/recent/${encodeURIComponent(name)}`),
  };
}

function bodyOf<T>(answer: Answer, ...expected: readonly number[]): T {
  assert.ok(
    expected.includes(answer.status),
    `${answer.status} instead of ${expected.join(" or ")}: ${JSON.stringify(answer.body)}`,
  );
  return answer.body as T;
}
