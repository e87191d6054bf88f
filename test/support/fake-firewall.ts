import type { Grace, KernelBan } from "../../src/domain/ban.ts";
import type { Offender } from "../../src/domain/policy.ts";
import type {
  BanRoom,
  Clock,
  Desired,
  Enforcer,
  Firewall,
  PassReport,
  Store,
  ViewedBan,
  WritePlan,
} from "../../src/domain/ports.ts";

/** A firewall in memory, with knobs for what the real one can do to its callers. */
export interface FakeFirewall extends Firewall {
  /** What `check` was asked, oldest first. */
  readonly checks: readonly Desired[];
  /** What `plan` was asked, oldest first. */
  readonly plans: readonly Desired[];
  /** What each `converge` or `convergeBans` was to bring about, oldest first. */
  readonly passes: readonly Desired[];
  /** What the last `converge` or `convergeBans` brought about. */
  readonly applied: Desired;
  /** What `recall` was given. */
  readonly recalled: readonly KernelBan[];
  /** Makes every `check` fail with `error` until it is called with `undefined`. */
  failChecks(error: Error | undefined): void;
  /** The same for `view`, `position` and `plan`. */
  failReads(error: Error | undefined): void;
  setBanRoom(room: Partial<BanRoom>): void;
  /** What the kernel banned by itself; enforced unless it says otherwise. */
  setPolicyBans(bans: readonly (KernelBan & Partial<ViewedBan>)[]): void;
  setOffenders(policy: string, offenders: readonly Offender[]): void;
  setShadows(rules: readonly string[]): void;
  /** Whether our own rules are there. */
  setInPlace(value: boolean): void;
  setCountsForgottenAt(at: number | null): void;
}

const nothing: Desired = { policies: [], operatorBans: [], lifts: [], graces: [] };

/** Room for 100 operator bans per family, networks too; nothing in the kernel. */
export function createFakeFirewall(): FakeFirewall {
  const checks: Desired[] = [];
  const plans: Desired[] = [];
  const passes: Desired[] = [];
  let applied = nothing;
  let recalled: readonly KernelBan[] = [];
  let checkFailure: Error | undefined;
  let readFailure: Error | undefined;
  let room: BanRoom = { capacity: 100, networks: true, remedy: "remove bans that are not needed" };
  let policyBans: readonly ViewedBan[] = [];
  let shadowedBy: readonly string[] = [];
  let inPlace = true;
  let countsForgottenAt: number | null = null;
  const offenders = new Map<string, readonly Offender[]>();

  async function converge(desired: Desired): Promise<PassReport> {
    applied = desired;
    passes.push(desired);
    policyBans = policyBans.filter((ban) => !desired.lifts.includes(ban.address));
    return { writes: 1, found: [], kernelBans: policyBans, imprecise: false, nextEnd: null };
  }

  function assertReadable(): void {
    if (readFailure !== undefined) throw readFailure;
  }

  return {
    checks,
    plans,
    passes,
    get applied() {
      return applied;
    },
    get recalled() {
      return recalled;
    },
    failChecks(error) {
      checkFailure = error;
    },
    failReads(error) {
      readFailure = error;
    },
    setBanRoom(different) {
      room = { ...room, ...different };
    },
    setPolicyBans(bans) {
      policyBans = bans.map((ban) => ({ enforced: true, ...ban }));
    },
    setOffenders(policy, sources) {
      offenders.set(policy, sources);
    },
    setShadows(rules) {
      shadowedBy = rules;
    },
    setInPlace(value) {
      inPlace = value;
    },
    recall(bans) {
      recalled = bans;
    },
    async check(desired) {
      checks.push(desired);
      if (checkFailure !== undefined) throw checkFailure;
    },
    async plan(desired) {
      plans.push(desired);
      assertReadable();
      return planOf(desired);
    },
    converge,
    convergeBans: converge,
    glance: () => ({ flushed: false, activity: false }),
    async view() {
      assertReadable();
      return {
        operatorBans: new Set(applied.operatorBans.map((ban) => ban.address)),
        policyBans,
        offenders: (policy) => offenders.get(policy) ?? [],
      };
    },
    banRoom: () => room,
    countsForgottenAt: () => countsForgottenAt,
    setCountsForgottenAt(at) {
      countsForgottenAt = at;
    },
    async position() {
      assertReadable();
      return { shadowedBy, inPlace };
    },
  };
}

/** A line for each policy and each entry. */
function planOf({ policies, operatorBans, lifts, graces }: Desired): WritePlan {
  return {
    ipv4: policies.map(({ name, revision }) => `-A CLD-${name} ${revision}`),
    ipv6: policies.map(({ name, revision }) => `-A CLD-${name} ${revision}`),
    recent: lifts.map((address) => ({ list: "cld4-host", write: `-${address}` })),
    ipset: [...operatorBans, ...graces].map(({ address }) => `add cld4-operator ${address}`),
  };
}

/** An enforcer that converges at once, until it is told that the kernel can't be reached. */
export interface FakeEnforcer extends Enforcer {
  /** The scopes that `settle` was asked for, oldest first. */
  readonly requests: readonly ("rules" | "bans")[];
  /** From now on nothing reaches the kernel, and `message` says why; `undefined`: it does again. */
  delay(message: string | undefined): void;
  /** From now on the kernel refuses rules with `error`; `undefined`: it takes them again. */
  refuse(error: Error | undefined): void;
}

/** Projects `store` on `firewall` whenever it is asked to settle; like the real one, without what has ended, and taking out the lifts that are done. */
export function createFakeEnforcer({
  store,
  firewall,
  clock,
}: {
  readonly store: Store;
  readonly firewall: Firewall;
  readonly clock: Clock;
}): FakeEnforcer {
  const requests: ("rules" | "bans")[] = [];
  let delayed: string | undefined;
  let refusal: Error | undefined;
  return {
    requests,
    refuse(error) {
      refusal = error;
    },
    delay(message) {
      delayed = message;
    },
    async settle(scope) {
      requests.push(scope);
      if (delayed !== undefined) return false;
      if (refusal !== undefined && scope === "rules") throw refusal;
      const lifts = store.lifts();
      const operatorBans = store.operatorBans().filter((ban) => ban.expiresAt === null || ban.expiresAt > clock.now());
      const graces: readonly Grace[] = store.graces().filter((grace) => grace.until > clock.now());
      await firewall.converge({ policies: store.policies(), operatorBans, lifts, graces });
      if (lifts.length > 0) {
        await store.transact((change) => {
          for (const address of lifts) change.deleteLift(address);
        });
      }
      return true;
    },
    enforcementOf(policy) {
      if (policy.mode === "off") return { state: "off" };
      if (delayed !== undefined) return { state: "pending", message: delayed };
      return { state: "enforced", since: policy.updatedAt };
    },
    inStep: () => delayed === undefined,
    failure: () => delayed ?? null,
  };
}
