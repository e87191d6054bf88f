// What the kernel of a host holds for the service, so that a test can tell whether all of it came back.
import { type Backend, families, readList, readSets, save } from "../support/kernel.ts";
import type { Network } from "../support/namespaces.ts";

/** Seconds by which two readings of one set entry's end may differ: both are rounded down. */
const endTolerance = 3;

/** Sets of offenders: what packets wrote there is not put back. */
const offenderSet = /^cld[46]-w\d/;

/** Everything of the service's own, as it is now. */
export interface KernelState {
  /** Own rules by family, in their order; the jump's is its place in INPUT. */
  readonly rules: readonly (readonly string[])[];
  /** Operators' lists by name. */
  readonly operators: ReadonlyMap<string, readonly string[]>;
  /** Entries of all own sets but those of offenders, which are empty here; ends in seconds since the epoch, 0: none. */
  readonly sets: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

/** @param withSets whether the host has ipset */
export async function readState(network: Network, backend: Backend, withSets = true): Promise<KernelState> {
  const [rules, operators, sets] = await Promise.all([
    Promise.all(families.map(async ({ family }) => ownRules(await save(network, backend, family)))),
    Promise.all(families.map(({ family }) => `cld${family}-operator`).map((name) => operatorsIn(network, name))),
    withSets ? readSets(network) : new Map<string, never>(),
  ]);
  const now = Date.now() / 1000;
  return {
    rules,
    operators: new Map(operators),
    sets: new Map(
      [...sets]
        .filter(([name]) => /^cld[46]-/.test(name))
        .map(([name, members]) => [
          name,
          new Map(
            (offenderSet.test(name) ? [] : members).map(({ address, secondsLeft }) => [
              address,
              secondsLeft === 0 ? 0 : now + secondsLeft,
            ]),
          ),
        ]),
    ),
  };
}

/** What differs between two states, in words; empty when nothing does. */
export function differences(wanted: KernelState, actual: KernelState): readonly string[] {
  return [
    ...wanted.rules.flatMap((rules, index) =>
      differing(`rules of IPv${families[index]?.family}`, rules, actual.rules[index] ?? []),
    ),
    ...[...wanted.operators].flatMap(([name, entries]) => differing(`list ${name}`, entries, actual.operators.get(name) ?? [])),
    ...differing("sets", [...wanted.sets.keys()].sort(), [...actual.sets.keys()].sort()),
    ...[...wanted.sets].flatMap(([name, members]) => differingMembers(name, members, actual.sets.get(name) ?? new Map())),
  ];
}

async function operatorsIn(network: Network, name: string): Promise<readonly [string, readonly string[]]> {
  return [name, ((await readList(network, name)) ?? []).map((entry) => entry.address).sort()];
}

/** The service's chains and rules; a jump that does not stand first in INPUT is shown with what stands before it. */
function ownRules(text: string): readonly string[] {
  const lines = text.split("\n");
  const input = lines.filter((line) => line.startsWith("-A INPUT"));
  const jump = input.findIndex((line) => line.includes("CLD-"));
  return [...input.slice(0, Math.max(0, jump)), ...lines.filter((line) => line.includes("CLD-"))];
}

function differing(what: string, wanted: readonly string[], actual: readonly string[]): readonly string[] {
  if (wanted.join("\n") === actual.join("\n")) return [];
  const [missing, extra] = [wanted.filter((line) => !actual.includes(line)), actual.filter((line) => !wanted.includes(line))];
  return [`${what}: missing ${JSON.stringify(missing)}, not wanted ${JSON.stringify(extra)}, or in another order or number`];
}

function differingMembers(
  name: string,
  wanted: ReadonlyMap<string, number>,
  actual: ReadonlyMap<string, number>,
): readonly string[] {
  const wrong = [...new Set([...wanted.keys(), ...actual.keys()])].filter((address) => {
    const [expected, found] = [wanted.get(address), actual.get(address)];
    if (expected === undefined || found === undefined) return true;
    return (expected === 0) !== (found === 0) || Math.abs(expected - found) > endTolerance;
  });
  return wrong.map((address) => `set ${name}: ${address} ends ${actual.get(address)} instead of ${wanted.get(address)}`);
}
