import { type AuditedChange, banContent, banResource, timeOf } from "./audit.ts";
import type { Ban, OperatorBan } from "./ban.ts";
import { applyBatch, type CheckedBatch, checkBatch, liftBan } from "./ban-batch.ts";
import { type BanSources, mergeBan } from "./ban-list.ts";
import {
  assertBannable,
  assertRoom,
  type BanTerms,
  isLive,
  operatorBanFrom,
  validateBanRequest,
  validateGrace,
} from "./ban-rules.ts";
import type { WriteTerms } from "./caller.ts";
import {
  assertMayOverride,
  banLockout,
  type FindLockouts,
  type Lifeline,
  type Lockout,
  type LockoutGuard,
} from "./lockout-guard.ts";
import { formatNetwork, type Network } from "./network.ts";
import type { Clock, StateChange } from "./ports.ts";
import type { BanBatch, BanRemoval, BanRequest, BatchCounts } from "./services.ts";

export interface BanChangesOptions {
  readonly guard: LockoutGuard;
  readonly clock: Clock;
  readonly terms: () => BanTerms;
  /** What the kernel holds. `now` in milliseconds since the epoch. */
  readonly sources: (now: number) => Promise<BanSources>;
}

/** A change that was judged as far as it can be without the state that it changes. */
export interface BanChange<Result> {
  /** The moment at which all of it is judged, in milliseconds since the epoch. */
  readonly now: number;
  /** What the kernel held. */
  readonly before: BanSources;
  /** Those that are banned by it. */
  readonly banned: readonly { readonly address: string; readonly network: Network; readonly severs: boolean }[];
  /** What the caller overrides. */
  readonly warnings: readonly string[];
  /** Makes the change, or refuses it by throwing. */
  readonly apply: (change: StateChange) => Result;
  /** What is noted of it, unless it changed nothing. */
  readonly note: (result: Result) => AuditedChange | undefined;
}

export interface PutResult {
  readonly before: Ban | undefined;
  readonly operatorBan: OperatorBan;
  readonly created: boolean;
  readonly changed: boolean;
}

/** What a put asks for. `admit` refuses by throwing, and is asked about what stands there now. */
export interface PutAsked {
  readonly network: Network;
  readonly request: BanRequest;
  readonly admit: (ban: Ban | undefined) => void;
  readonly terms: WriteTerms;
}

export interface RemovalAsked extends BanRemoval {
  readonly network: Network;
  readonly admit: (ban: Ban | undefined) => void;
  readonly terms: WriteTerms;
}

/** The changes of bans, each the same whether it is done or only rehearsed. */
export interface BanChanges {
  put(asked: PutAsked, rehearses: boolean): Promise<BanChange<PutResult>>;
  remove(asked: RemovalAsked): Promise<BanChange<Ban | undefined>>;
  batch(batch: BanBatch, terms: WriteTerms, rehearses: boolean): Promise<BanChange<BatchCounts>>;
}

/** The ban of an operator's cause and of what the kernel had on the address. */
export function banAmong(sources: BanSources, address: string): (operator: OperatorBan | undefined) => Ban | undefined {
  const kernelBans = sources.view.policyBans.filter((ban) => ban.address === address);
  return (operator) => mergeBan(address, operator, kernelBans, sources);
}

/** All of a change is judged at one moment, when it was asked for: a ban that is shorter than the wait for the kernel is still answered. */
export function createBanChanges({ guard, clock, terms: banTermsNow, sources }: BanChangesOptions): BanChanges {
  return {
    async put({ network, request, admit, terms }, rehearses) {
      const now = clock.now();
      const banTerms = banTermsNow();
      assertMayOverride(terms);
      validateBanRequest(request, now);
      assertBannable(network, banTerms);
      const address = formatNetwork(network);
      const [warnings, before] = await Promise.all([
        guard.judge(terms, (lifelines) => lockoutOf(network, "", lifelines), rehearses),
        sources(now),
      ]);
      const banBefore = banAmong(before, address);
      return {
        now,
        before,
        banned: [{ address, network, severs: request.sever !== false }],
        warnings,
        apply(change) {
          const stored = change.operatorBan(address);
          const ban = banBefore(stored);
          admit(ban);
          const present = stored !== undefined && isLive(stored, now) ? stored : undefined;
          const operatorBan = operatorBanFrom({ address, actor: terms.caller.actor, request }, present, now);
          if (operatorBan === present) return { before: ban, operatorBan, created: false, changed: false };
          const crowded = present === undefined && change.operatorBanCount() >= banTerms.room.capacity;
          const bansBefore = crowded ? change.operatorBans() : [];
          change.putOperatorBan(operatorBan);
          if (crowded) assertRoom(bansBefore, change.operatorBans(), banTerms.room, now);
          return { before: ban, operatorBan, created: ban === undefined, changed: true };
        },
        note({ before: ban, operatorBan, changed }) {
          if (!changed) return undefined;
          return {
            action: "ban.put",
            resource: banResource(address),
            before: banContent(ban),
            after: banContent(banBefore(operatorBan)),
          };
        },
      };
    },

    async remove({ network, admit, terms, graceSeconds }) {
      const now = clock.now();
      const address = formatNetwork(network);
      assertMayOverride(terms);
      validateGrace(graceSeconds);
      const graceUntil = graceSeconds === undefined ? null : now + graceSeconds * 1000;
      const before = await sources(now);
      const banBefore = banAmong(before, address);
      return {
        now,
        before,
        banned: [],
        warnings: [],
        apply(change) {
          const ban = banBefore(change.operatorBan(address));
          admit(ban);
          liftBan(change, address);
          if (graceUntil !== null) change.putGrace({ address, until: graceUntil });
          return ban;
        },
        note: (ban) => ({
          action: "ban.delete",
          resource: banResource(address),
          before: banContent(ban),
          after: graceUntil === null ? null : { graceUntil: timeOf(graceUntil) },
        }),
      };
    },

    async batch(batch, terms, rehearses) {
      const now = clock.now();
      const banTerms = banTermsNow();
      assertMayOverride(terms);
      const checked = checkBatch(batch, terms.caller.actor, banTerms, now);
      const find: FindLockouts = (lifelines) =>
        checked.put.flatMap(({ network, pointer }) => lockoutOf(network, pointer, lifelines));
      const warnings = checked.put.length === 0 ? [] : await guard.judge(terms, find, rehearses);
      const before = await sources(now);
      return {
        now,
        before,
        banned: checked.put.map(({ address, network, request }) => ({ address, network, severs: request.sever !== false })),
        warnings,
        apply: (change) => applyBatch(change, checked, before, banTerms.room),
        note: (counts) => batchNote(checked, counts),
      };
    },
  };
}

/** Addresses of a batch that are noted, of either list. */
const maxNotedAddresses = 100;

function batchNote({ put, delete: deleted }: CheckedBatch, counts: BatchCounts): AuditedChange | undefined {
  if (counts.created + counts.updated + counts.deleted === 0) return undefined;
  const after = {
    ...counts,
    put: put.slice(0, maxNotedAddresses).map(({ address }) => address),
    delete: deleted.slice(0, maxNotedAddresses),
  };
  return { action: "ban.batch", resource: "bans", before: null, after };
}

function lockoutOf(network: Network, pointer: string, lifelines: readonly Lifeline[]): readonly Lockout[] {
  const message = banLockout(network, lifelines);
  return message === undefined ? [] : [{ pointer, message }];
}
