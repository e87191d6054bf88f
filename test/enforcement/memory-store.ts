import type { Grace, KernelBan, OperatorBan } from "../../src/domain/ban.ts";
import type { Confirmation } from "../../src/domain/confirmation.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { StateChange, Store } from "../../src/domain/ports.ts";
import type { Token } from "../../src/domain/token.ts";

export interface MemoryStore extends Store {
  /** Makes every transaction fail with `error` until it is called with `undefined`. */
  failTransactions(error: Error | undefined): void;
  /** How many transactions were tried. */
  readonly transactions: number;
  putPolicies(...policies: readonly Policy[]): void;
  putBans(...bans: readonly OperatorBan[]): void;
  putGraces(...graces: readonly Grace[]): void;
  putLifts(...addresses: readonly string[]): void;
  putKernelBans(...bans: readonly KernelBan[]): void;
}

/** A table whose whole content stays the same array until it changes, as the real store's does. */
function createTable<Row>(keyOf: (row: Row) => string, changed: () => void) {
  const rows = new Map<string, Row>();
  let all: readonly Row[] = [];
  const refresh = (): void => {
    all = [...rows.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
    changed();
  };
  return {
    get: (key: string) => rows.get(key),
    all: () => all,
    put: (row: Row): void => {
      rows.set(keyOf(row), row);
      refresh();
    },
    delete: (key: string): boolean => {
      const there = rows.delete(key);
      refresh();
      return there;
    },
  };
}

function each<Row>(rows: readonly Row[], act: (row: Row) => void): void {
  for (const row of rows) act(row);
}

/** A store that forgets with its process. Its transactions commit in a later turn of the event loop, as the real one's do. */
export function createMemoryStore(): MemoryStore {
  let revision = 0;
  let failure: Error | undefined;
  let transactions = 0;
  const moveOn = (): void => {
    revision += 1;
  };
  const policies = createTable<Policy>((policy) => policy.name, moveOn);
  const bans = createTable<OperatorBan>((ban) => ban.address, moveOn);
  const kernelBans = createTable<KernelBan>((ban) => `${ban.home} ${ban.address}`, moveOn);
  const lifts = createTable<string>((address) => address, moveOn);
  const confirmations = createTable<Confirmation>((confirmation) => confirmation.id, moveOn);
  const tokens = createTable<Token>((token) => token.name, moveOn);
  const graces = createTable<Grace>((grace) => grace.address, moveOn);

  const change: StateChange = {
    revision: () => revision,
    policy: policies.get,
    policies: policies.all,
    operatorBan: bans.get,
    operatorBans: bans.all,
    operatorBanCount: () => bans.all().length,
    kernelBans: kernelBans.all,
    lifts: lifts.all,
    grace: graces.get,
    graces: graces.all,
    confirmation: confirmations.get,
    confirmations: confirmations.all,
    token: tokens.get,
    tokens: tokens.all,
    putPolicy: policies.put,
    deletePolicy: policies.delete,
    putOperatorBan: bans.put,
    deleteOperatorBan: bans.delete,
    putKernelBan: kernelBans.put,
    deleteKernelBan: (home, address) => kernelBans.delete(`${home} ${address}`),
    putLift: lifts.put,
    deleteLift: lifts.delete,
    putGrace: graces.put,
    deleteGrace: graces.delete,
    putConfirmation: confirmations.put,
    deleteConfirmation: confirmations.delete,
    putToken: tokens.put,
    deleteToken: tokens.delete,
    audit: () => undefined,
  };

  return {
    ...change,
    transact: async (work) => {
      transactions += 1;
      await new Promise((resolve) => setImmediate(resolve));
      if (failure !== undefined) throw failure;
      return work(change);
    },
    auditEntries: () => [],
    failure: () => failure?.message ?? null,
    probe: async () => {
      if (failure !== undefined) throw failure;
    },
    close: () => undefined,
    get transactions() {
      return transactions;
    },
    failTransactions: (error) => {
      failure = error;
    },
    putPolicies: (...some) => each(some, change.putPolicy),
    putBans: (...some) => each(some, change.putOperatorBan),
    putGraces: (...some) => each(some, change.putGrace),
    putLifts: (...some) => each(some, change.putLift),
    putKernelBans: (...some) => each(some, change.putKernelBan),
  };
}
