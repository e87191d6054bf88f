import assert from "node:assert/strict";
import { type BanInput, banPath, type PolicyInput } from "./api.ts";
import type { Answer, Service } from "./service.ts";

/** One write of the API, to be sent or rehearsed. */
export interface Write {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string>>;
}

/** What a write would send to the kernel, as the contract shows it. */
export interface WritePlan {
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
  readonly recent: readonly { readonly list: string; readonly write: string }[];
  readonly ipset: readonly string[];
}

/** A source that a write would concern, as the contract shows it. */
export interface ImpactSource {
  readonly source: string;
  readonly connections: number;
  readonly limit: number;
  readonly outcome: "refused" | "banned" | "observed" | "exempt" | "protected";
}

/** The answer of a dry run. */
export interface Foresight<Result = unknown> {
  readonly dryRun: true;
  readonly changed: boolean;
  readonly result: Result;
  readonly plan: WritePlan;
  readonly impact: { readonly sources: readonly ImpactSource[] };
  readonly warnings: readonly string[];
}

/** A change that waits for its confirmation, as the list has it. */
export interface ConfirmationResource {
  readonly id: string;
  readonly policy: string;
  readonly revertsAt: string;
}

export const putPolicy = (name: string, body: PolicyInput): Write => ({ method: "PUT", path: `/v1/policies/${name}`, body });
export const postPolicy = (name: string, body: PolicyInput): Write => ({
  method: "POST",
  path: "/v1/policies",
  body: { name, ...body },
});
export const patchPolicy = (name: string, body: Partial<PolicyInput>): Write => ({
  method: "PATCH",
  path: `/v1/policies/${name}`,
  body,
});
export const deletePolicy = (name: string): Write => ({ method: "DELETE", path: `/v1/policies/${name}` });
export const putBan = (address: string, body: BanInput = {}): Write => ({ method: "PUT", path: banPath(address), body });
export const postBan = (address: string, body: BanInput = {}): Write => ({
  method: "POST",
  path: "/v1/bans",
  body: { address, ...body },
});
export const deleteBan = (address: string): Write => ({ method: "DELETE", path: banPath(address) });
export const batchOfBans = (
  put: readonly (BanInput & { readonly address: string })[],
  lifted: readonly string[] = [],
): Write => ({
  method: "POST",
  path: "/v1/bans/batch",
  body: { put, delete: lifted },
});

/** The same write with more query parameters. */
export const withQuery = (write: Write, query: Readonly<Record<string, string>>): Write => ({
  ...write,
  query: { ...write.query, ...query },
});

/** Sends it, whatever comes of it. */
export function sendWrite(service: Pick<Service, "request">, { method, path, body, query = {} }: Write): Promise<Answer> {
  const headers = method === "PATCH" ? { "content-type": "application/merge-patch+json" } : {};
  const parameters = new URLSearchParams(query).toString();
  return service.request(method, parameters === "" ? path : `${path}?${parameters}`, body, headers);
}

/** Rehearses it, and asserts that it could be done. */
export async function foresee<Result = unknown>(service: Pick<Service, "request">, write: Write): Promise<Foresight<Result>> {
  const answer = await sendWrite(service, withQuery(write, { dryRun: "true" }));
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.equal(answer.headers["connlimitd-changed"], "false");
  return answer.body as Foresight<Result>;
}

/** Asserts that it was stored and is in the kernel; what it answered. */
export async function mustWrite<Result = unknown>(service: Pick<Service, "request">, write: Write): Promise<Result> {
  const { status, body } = await sendWrite(service, write);
  assert.ok([200, 201, 204].includes(status), `${write.method} ${write.path}: ${status} ${JSON.stringify(body)}`);
  return body as Result;
}
