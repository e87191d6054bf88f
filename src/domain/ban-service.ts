import { banResource, changedNote } from "./audit.ts";
import type { Attempt, AuditService } from "./audit-service.ts";
import type { Ban } from "./ban.ts";
import { type BanChange, banAmong, createBanChanges, type PutAsked, type PutResult, type RemovalAsked } from "./ban-changes.ts";
import { type BanSources, createBanList } from "./ban-list.ts";
import { networkFrom } from "./ban-rules.ts";
import type { WriteTerms } from "./caller.ts";
import { desiredOf } from "./desired.ts";
import { DomainError } from "./errors.ts";
import { forecast } from "./forecast.ts";
import { banImpact, countIn } from "./impact.ts";
import { createLockoutGuard } from "./lockout-guard.ts";
import { formatNetwork, type Network } from "./network.ts";
import { createOverlay } from "./overlay.ts";
import {
  type Clock,
  type Connections,
  EnforcementDelayed,
  type Enforcer,
  type Firewall,
  type Store,
  type Surroundings,
} from "./ports.ts";
import { assertPreconditions, type Preconditions } from "./preconditions.ts";
import type { BanForesight, BanOutcome, BanRemoval, BanRequest, BanService } from "./services.ts";
import { versionOf } from "./version.ts";

export interface BanServiceOptions {
  readonly store: Store;
  readonly firewall: Firewall;
  readonly enforcer: Enforcer;
  readonly connections: Connections;
  readonly surroundings: Surroundings;
  readonly audit: Pick<AuditService, "watch">;
  readonly clock: Clock;
  /** Never banned. */
  readonly protectedNetworks: readonly Network[];
  /** The TCP ports on which this service listens. */
  readonly apiPorts: readonly number[];
}

/** Milliseconds that a write waits to learn what the kernel holds before it goes on without. */
const writePatience = 600;

/** The strong version of a ban for preconditions: of its address and causes, whether they are in the kernel yet or not. */
export function banVersion({ address, causes }: Ban): string {
  return versionOf([
    address,
    causes.map((cause) =>
      cause.by === "operator"
        ? [cause.by, cause.actor, cause.reason, cause.since, cause.expiresAt]
        : [cause.by, cause.policy, cause.since, cause.expiresAt],
    ),
  ]);
}

/** The bans: the operator's from the store, the kernel's own from the kernel, one list. */
export function createBanService(options: BanServiceOptions): BanService {
  const { store, firewall, enforcer, connections, audit, clock, protectedNetworks } = options;
  const listBans = createBanList(store);
  const terms = () => ({ protectedNetworks, room: firewall.banRoom() });
  const changes = createBanChanges({
    guard: createLockoutGuard(options),
    clock,
    terms,
    sources: (now) => sources(now, writePatience),
  });

  /** A kernel that can't be read keeps nobody from writing: what it held when it was seen last stands in, and nothing counts as enforced. */
  async function sources(now: number, patience?: number): Promise<BanSources> {
    try {
      return { view: await firewall.view(patience), inStep: enforcer.inStep(), now };
    } catch (error) {
      if (!(error instanceof EnforcementDelayed)) throw error;
      return lastKnown(now);
    }
  }

  function lastKnown(now: number): BanSources {
    const policyBans = store.kernelBans().map((ban) => ({ ...ban, enforced: false }));
    return { view: { operatorBans: new Set(), policyBans }, inStep: false, now };
  }

  /** How many connections ended; `null` when none were to, or it could not be done: the ban holds all the same. */
  async function sever(banned: BanChange<unknown>["banned"], enforced: boolean): Promise<number | null> {
    const networks = enforced ? banned.flatMap(({ address, severs }) => (severs ? [address] : [])) : [];
    if (networks.length === 0) return null;
    try {
      return await connections.sever(networks);
    } catch (error) {
      if (!(error instanceof EnforcementDelayed)) throw error;
      return null;
    }
  }

  /** Stores a change and the note of it, or notes why it is refused. */
  async function carryOut<Result>(
    attempt: Pick<Attempt, "action" | "resource">,
    { caller }: WriteTerms,
    prepare: () => Promise<BanChange<Result>>,
  ): Promise<BanChange<Result> & { readonly result: Result }> {
    return audit.watch({ ...attempt, caller }, async () => {
      const prepared = await prepare();
      const result = await store.transact((change) => {
        const applied = prepared.apply(change);
        const noted = prepared.note(applied);
        if (noted !== undefined) change.audit(changedNote(caller, clock.now(), noted));
        return applied;
      });
      return { ...prepared, result };
    });
  }

  async function put(asked: PutAsked): Promise<BanOutcome> {
    const since = clock.monotonic();
    const attempt = { action: "ban.put", resource: banResource(formatNetwork(asked.network)) } as const;
    const { now, banned, result } = await carryOut(attempt, asked.terms, () => changes.put(asked, false));
    const { operatorBan, created, changed } = result;
    const enforced = await enforcer.settle("bans", since, [operatorBan.address]);
    const [severed, after] = await Promise.all([sever(banned, enforced), enforced ? sources(now) : lastKnown(now)]);
    const resource = banOf(operatorBan, after);
    return { resource, created, changed, enforced, severed };
  }

  /** The change, made on nothing but memory, and what the kernel would be sent for it. */
  async function rehearse<Applied, Result>(
    { now, banned, warnings, apply }: BanChange<Applied>,
    describe: (
      applied: Applied,
      severed: number | null,
    ) => { readonly changed: boolean; readonly created: boolean; readonly result: Result },
  ) {
    const overlay = createOverlay(store);
    const applied = apply(overlay);
    const desired = desiredOf(overlay, now);
    const open = await countIn(banned, connections);
    const severed = banned.some(({ severs }) => severs) ? open.severed : null;
    return forecast({ ...describe(applied, severed), desired, measured: banImpact(open), warnings }, options);
  }

  async function rehearsePut(asked: PutAsked) {
    const change = await changes.put(asked, true);
    return rehearse(change, ({ operatorBan, created, changed }, severed) => {
      const { view, inStep, now } = change.before;
      const held = { view: { ...view, operatorBans: new Set([operatorBan.address]) }, inStep, now };
      return { changed, created, result: { resource: banOf(operatorBan, held), severed } };
    });
  }

  const foresee: BanForesight = {
    async create(text, request, terms) {
      return { ...(await rehearsePut(creation(text, request, terms))), created: true };
    },
    put: async (text, request, conditions, terms) => rehearsePut(replacement(text, request, conditions, terms)),
    async remove(text, conditions, terms, grace = {}) {
      const change = await changes.remove(removal(text, conditions, terms, grace));
      return rehearse(change, () => ({ changed: true, created: false, result: null }));
    },
    async batch(batch, terms) {
      return rehearse(await changes.batch(batch, terms, true), (counts, severed) => ({
        changed: counts.created + counts.updated + counts.deleted > 0,
        created: counts.created > 0,
        result: { ...counts, severed },
      }));
    },
  };

  return {
    foresee,
    async list(filter, page = {}) {
      const select = listBans(filter, page);
      return select(await sources(clock.now()));
    },
    async get(text) {
      const address = formatNetwork(networkFrom(text, "/address"));
      const banNow = banAmong(await sources(clock.now()), address);
      return existing(banNow(store.operatorBan(address)), address);
    },
    async create(text, request, terms) {
      return { ...(await put(creation(text, request, terms))), created: true };
    },
    put: async (text, request, conditions, terms) => put(replacement(text, request, conditions, terms)),
    async remove(text, conditions, terms, grace = {}) {
      const since = clock.monotonic();
      const asked = removal(text, conditions, terms, grace);
      const attempt = { action: "ban.delete", resource: banResource(formatNetwork(asked.network)) } as const;
      await carryOut(attempt, terms, () => changes.remove(asked));
      // A grace is an entry of another set.
      const touched = grace.graceSeconds === undefined ? [formatNetwork(asked.network)] : undefined;
      return { enforced: await enforcer.settle("bans", since, touched) };
    },
    async batch(batch, terms) {
      const since = clock.monotonic();
      const attempt = { action: "ban.batch", resource: "bans" } as const;
      const { banned, result: counts } = await carryOut(attempt, terms, () => changes.batch(batch, terms, false));
      const enforced = await enforcer.settle("bans", since);
      return { ...counts, enforced, severed: await sever(banned, enforced) };
    },
  };
}

function creation(text: string, request: BanRequest, terms: WriteTerms): PutAsked {
  const admit = (ban: Ban | undefined): void => {
    if (!ban?.causes.some((cause) => cause.by === "operator")) return;
    throw new DomainError("already-exists", `An operator has banned ${ban.address} already. PUT sets the ban anew.`);
  };
  return { network: networkFrom(text, "/address"), request, admit, terms };
}

function replacement(text: string, request: BanRequest, conditions: Preconditions, terms: WriteTerms): PutAsked {
  const admit = (ban: Ban | undefined): void => assertPreconditions(conditions, ban && banVersion(ban));
  return { network: networkFrom(text, "/address"), request, admit, terms };
}

function removal(text: string, conditions: Preconditions, terms: WriteTerms, grace: BanRemoval): RemovalAsked {
  const network = networkFrom(text, "/address");
  const admit = (ban: Ban | undefined): void =>
    assertPreconditions(conditions, banVersion(existing(ban, formatNetwork(network))));
  return { network, admit, terms, ...grace };
}

function banOf(operatorBan: PutResult["operatorBan"], sources: BanSources): Ban {
  return existing(banAmong(sources, operatorBan.address)(operatorBan), operatorBan.address);
}

function existing(ban: Ban | undefined, address: string): Ban {
  if (ban === undefined)
    throw new DomainError("not-found", `${address} is not banned. The bans of networks that hold it: GET /v1/bans?covers=.`);
  return ban;
}
