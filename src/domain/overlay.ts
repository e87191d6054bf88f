import { type Confirmation, compareConfirmations } from "./confirmation.ts";
import { type Arrangement, createUpperLayer, type Entries, type UpperLayer } from "./entries.ts";
import { comparePolicies, type Policy } from "./policy.ts";
import type { DesiredState, StateChange } from "./ports.ts";
import { compareTokens, type Token } from "./token.ts";

/**
 * A change on top of `state` that stays in memory: what a transaction would see and leave, in the same order, without one.
 * `state` must not change while the overlay is in use, so it lives for one turn of the event loop.
 */
export function createOverlay(state: DesiredState): StateChange {
  let steps = 0;

  function layer<Entry>(
    entries: Pick<Entries<Entry>, "values"> & Partial<Entries<Entry>>,
    arrangement: Arrangement<NoInfer<Entry>>,
  ): UpperLayer<Entry> {
    const { values, get = findIn(values, arrangement), size = () => values().length } = entries;
    return createUpperLayer({ values, get, size }, arrangement);
  }

  function put<Entry>(entries: UpperLayer<Entry>, keyOf: Arrangement<Entry>["keyOf"]): (entry: Entry) => void {
    return (entry) => {
      entries.set(keyOf(entry), entry);
      steps += 1;
    };
  }

  function remove<Entry>(entries: UpperLayer<Entry>, key: string): boolean {
    if (entries.get(key) === undefined) return false;
    entries.set(key, undefined);
    steps += 1;
    return true;
  }

  const policies = layer({ values: state.policies, get: state.policy }, byName);
  const operatorBans = layer({ values: state.operatorBans, get: state.operatorBan, size: state.operatorBanCount }, byAddress);
  const kernelBans = layer({ values: state.kernelBans }, byHome);
  const lifts = layer({ values: state.lifts }, byItself);
  const graces = layer({ values: state.graces, get: state.grace }, byAddress);
  const confirmations = layer({ values: state.confirmations, get: state.confirmation }, byId);
  const tokens = layer({ values: state.tokens, get: state.token }, byTokenName);
  return {
    revision: () => state.revision() + steps,
    policy: policies.get,
    policies: policies.values,
    operatorBan: operatorBans.get,
    operatorBans: operatorBans.values,
    operatorBanCount: operatorBans.size,
    kernelBans: kernelBans.values,
    lifts: lifts.values,
    grace: graces.get,
    graces: graces.values,
    confirmation: confirmations.get,
    confirmations: confirmations.values,
    token: tokens.get,
    tokens: tokens.values,
    putPolicy: put(policies, byName.keyOf),
    deletePolicy: (name) => remove(policies, name),
    putOperatorBan: put(operatorBans, byAddress.keyOf),
    deleteOperatorBan: (address) => remove(operatorBans, address),
    putKernelBan: put(kernelBans, byHome.keyOf),
    deleteKernelBan: (home, address) => remove(kernelBans, byHome.keyOf({ home, address })),
    putLift: put(lifts, byItself.keyOf),
    deleteLift: (address) => remove(lifts, address),
    putGrace: put(graces, byAddress.keyOf),
    deleteGrace: (address) => remove(graces, address),
    putConfirmation: put(confirmations, byId.keyOf),
    deleteConfirmation: (id) => remove(confirmations, id),
    putToken: put(tokens, byTokenName.keyOf),
    deleteToken: (name) => remove(tokens, name),
    // What is only rehearsed leaves no trace.
    audit: () => undefined,
  };
}

const byName = { keyOf: ({ name }: Policy) => name, compare: comparePolicies };
const byAddress = { keyOf: ({ address }: { readonly address: string }) => address };
const byHome = { keyOf: ({ home, address }: { readonly home: string; readonly address: string }) => `${home}\n${address}` };
const byItself = { keyOf: (address: string) => address };
const byId = { keyOf: ({ id }: Confirmation) => id, compare: compareConfirmations };
const byTokenName = { keyOf: ({ name }: Token) => name, compare: compareTokens };

function findIn<Entry>(values: Entries<Entry>["values"], { keyOf }: Arrangement<Entry>): Entries<Entry>["get"] {
  let byKey: ReadonlyMap<string, Entry> | undefined;
  return (key) => {
    byKey ??= new Map(values().map((entry) => [keyOf(entry), entry]));
    return byKey.get(key);
  };
}
