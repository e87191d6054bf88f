import type { Static } from "typebox";
import type { Ban, BanCause } from "../../domain/ban.ts";
import type { FieldError } from "../../domain/errors.ts";
import type { BanBatch, BanItem, BanRequest, BatchCounts, Severed, WrittenBan } from "../../domain/services.ts";
import { formatEnd, formatTime } from "../fields.ts";
import { invalidInput } from "../problems/problem.ts";
import type { BanBatchBody, BanBatchResult } from "./batch-schemas.ts";
import type { BanReplacement, BanResource, NewBan, WrittenBanResource } from "./schemas.ts";

/**
 * What a body asks for.
 * @throws {ApiProblem} `invalid-input` for a time that no clock shows
 */
export function banRequest(body: Static<typeof NewBan> | Static<typeof BanReplacement>): BanRequest {
  const errors: FieldError[] = [];
  const terms = banTerms(body, "", errors);
  if (errors.length > 0) throw invalidInput(errors);
  return terms;
}

/** The same for many; every such time is named. */
export function batchRequest({ put = [], delete: deleted = [] }: Static<typeof BanBatchBody>): BanBatch {
  const errors: FieldError[] = [];
  const items = put.map((item, index) => ({ address: item.address, ...banTerms(item, `/put/${index}`, errors) }));
  if (errors.length > 0) throw invalidInput(errors);
  return { put: items, delete: deleted };
}

/** What callers see of a ban. */
export function presentBan({ address, expiresAt, enforced, causes }: Ban): Static<typeof BanResource> {
  return { address, expiresAt: formatEnd(expiresAt), enforced, causes: causes.map(presentCause) };
}

/** What the caller sees who wrote it. */
export function presentWrittenBan({ resource, severed }: WrittenBan): Static<typeof WrittenBanResource> {
  return { ...presentBan(resource), severed };
}

/** What the caller of a batch sees. */
export function presentBatch({
  created,
  updated,
  deleted,
  unchanged,
  severed,
}: BatchCounts & Severed): Static<typeof BanBatchResult> {
  return { created, updated, deleted, unchanged, severed };
}

function presentCause(cause: BanCause) {
  const since = formatTime(cause.since);
  if (cause.by === "policy") return { by: cause.by, policy: cause.policy, since, expiresAt: formatTime(cause.expiresAt) };
  return { by: cause.by, actor: cause.actor, reason: cause.reason, since, expiresAt: formatEnd(cause.expiresAt) };
}

/** The parts of a body at `pointer` that are not its address. Adds to `errors`: the schema has seen to the form, but a leap second is still no time here. */
function banTerms(body: Static<typeof BanReplacement>, pointer: string, errors: FieldError[]): Omit<BanItem, "address"> {
  const { reason = "", ttlSeconds, expiresAt, sever } = body;
  const terms = { reason, ...(sever === undefined ? {} : { sever }) };
  if (ttlSeconds !== undefined) return { ...terms, expiry: { ttlSeconds } };
  if (expiresAt === undefined) return { ...terms, expiry: null };
  const time = Date.parse(expiresAt.toUpperCase());
  if (Number.isNaN(time)) {
    errors.push({ pointer: `${pointer}/expiresAt`, message: "must be an RFC 3339 time, and no leap second" });
  }
  return { ...terms, expiry: { expiresAt: time } };
}
