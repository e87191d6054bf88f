import type { BanSources } from "./ban-list.ts";
import {
  assertRoom,
  type BanObstacle,
  type BanTerms,
  banObstacle,
  banRequestErrors,
  isLive,
  operatorBanFrom,
  type WantedBan,
} from "./ban-rules.ts";
import { batchError } from "./batch-errors.ts";
import { DomainError, type DomainErrorCode, type FieldError } from "./errors.ts";
import { formatNetwork, type Network, NetworkSyntaxError, parseNetwork } from "./network.ts";
import type { StateChange } from "./ports.ts";
import type { BanBatch, BatchCounts } from "./services.ts";

/** Items of one batch, put and delete together. */
export const maxBatchItems = 10_000;

/** A ban of a batch, and where its address stands there. */
export interface CheckedItem extends WantedBan {
  readonly network: Network;
  readonly pointer: string;
}

/** A batch in which every item can be taken; addresses canonical, none twice. */
export interface CheckedBatch {
  readonly put: readonly CheckedItem[];
  readonly delete: readonly string[];
}

/**
 * Looks at every item of a batch.
 * @param now milliseconds since the epoch
 * @throws {DomainError} `invalid-input`, `lockout`, `network-unsupported` with every item that is wrong, up to a hundred
 */
export function checkBatch(batch: BanBatch, actor: string, terms: BanTerms, now: number): CheckedBatch {
  const count = batch.put.length + batch.delete.length;
  if (count > maxBatchItems) {
    const message = `takes up to ${maxBatchItems} items in put and delete together; this has ${count}`;
    throw new DomainError("invalid-input", `A batch ${message}.`, [{ pointer: "", message }]);
  }
  const invalid: FieldError[] = [];
  const refused: { readonly pointer: string; readonly obstacle: BanObstacle }[] = [];
  const pointers = new Map<string, string>();

  /** The canonical address of an item; `undefined` when it can't be taken. */
  function addressAt(text: string, pointer: string): { readonly address: string; readonly network: Network } | undefined {
    const network = parseOrNote(text, pointer, invalid);
    if (network === undefined) return undefined;
    const address = formatNetwork(network);
    const earlier = pointers.get(address);
    if (earlier === undefined) pointers.set(address, pointer);
    else invalid.push({ pointer, message: `${address} stands there already, as ${earlier}` });
    return { address, network };
  }

  const put = batch.put.flatMap((item, index) => {
    const pointer = `/put/${index}`;
    const found = addressAt(item.address, `${pointer}/address`);
    const obstacle = found && banObstacle(found.network, terms);
    if (obstacle !== undefined) refused.push({ pointer: `${pointer}/address`, obstacle });
    for (const error of banRequestErrors(item, now)) invalid.push({ ...error, pointer: `${pointer}${error.pointer}` });
    return found === undefined ? [] : [{ ...found, pointer: `${pointer}/address`, actor, request: item }];
  });
  const deleted = batch.delete.flatMap((text, index) => addressAt(text, `/delete/${index}`)?.address ?? []);
  refuseItems("invalid-input", invalid);
  for (const code of ["lockout", "network-unsupported"] as const) {
    refuseItems(
      code,
      refused
        .filter(({ obstacle }) => obstacle.code === code)
        .map(({ pointer, obstacle }) => ({ pointer, message: obstacle.message })),
    );
  }
  return { put, delete: deleted };
}

/**
 * Makes the changes of a batch that was checked.
 * @param sources what the kernel held before; their `now` is the time of the batch
 * @throws {DomainError} `no-room`
 */
export function applyBatch(
  change: StateChange,
  batch: CheckedBatch,
  { view, now }: BanSources,
  room: BanTerms["room"],
): BatchCounts {
  const bansBefore = change.operatorBans();
  const policyBans = new Set(view.policyBans.filter((ban) => isLive(ban, now)).map((ban) => ban.address));
  const counts = { created: 0, updated: 0, deleted: 0, unchanged: 0 };

  function presentBan(address: string) {
    const ban = change.operatorBan(address);
    return ban !== undefined && isLive(ban, now) ? ban : undefined;
  }

  for (const wanted of batch.put) {
    const { address } = wanted;
    const present = presentBan(address);
    const operatorBan = operatorBanFrom(wanted, present, now);
    if (operatorBan === present) counts.unchanged += 1;
    else {
      change.putOperatorBan(operatorBan);
      counts[present === undefined && !policyBans.has(address) ? "created" : "updated"] += 1;
    }
  }
  for (const address of batch.delete) {
    if (presentBan(address) === undefined && !policyBans.has(address)) counts.unchanged += 1;
    else {
      liftBan(change, address);
      counts.deleted += 1;
    }
  }
  if (batch.put.length > 0) assertRoom(bansBefore, change.operatorBans(), room, now);
  return counts;
}

/** Takes every cause from an address: the operator's at once, the kernel's with the next pass. */
export function liftBan(change: StateChange, address: string): void {
  change.deleteOperatorBan(address);
  change.putLift(address);
}

function refuseItems(code: DomainErrorCode, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw batchError(code, errors);
}

function parseOrNote(text: string, pointer: string, errors: FieldError[]): Network | undefined {
  try {
    return parseNetwork(text);
  } catch (error) {
    if (!(error instanceof NetworkSyntaxError)) throw error;
    errors.push({ pointer, message: error.message });
    return undefined;
  }
}
