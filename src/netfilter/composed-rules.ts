import type { Family } from "../domain/network.ts";
import { comparePolicies, type Policy, type PolicySpec } from "../domain/policy.ts";
import type { Clock } from "../domain/ports.ts";
import { inTurns, type Steps } from "../domain/steps.ts";
import type { Backend } from "./iptables/backend.ts";
import { ruleText } from "./iptables/rule-text.ts";
import { chainsOfPolicy } from "./iptables/ruleset.ts";
import { chainsText, type KnownChains } from "./iptables/standing-chains.ts";
import { seal, type TextFile, unseal } from "./sealed-text.ts";

export interface ComposedRulesOptions {
  readonly file: TextFile;
  /** Another one for each version of the code: what another version has composed is not used. */
  readonly madeBy: string;
  readonly backend: Backend;
  readonly clock: Clock;
  /** Told when the text could not be written, and not again before it could. */
  readonly onFailure: (error: unknown) => void;
}

/**
 * The chains of policies in words, kept from one start to the next: a start with a thousand policies then compares texts instead of composing
 * thousands of rules. It holds what the code makes of the policies, not what the kernel has.
 */
export interface ComposedRules {
  /** What was kept by the same code on the same backend; null where there is nothing of use. */
  known(policies: readonly Policy[]): KnownChains | null;
  /** Keeps those of these policies, if there is something new about them; at most so often. Never rejects. */
  keep(policies: readonly Policy[]): Promise<void>;
  /** Keeps what `keep` was called with last, however short after the time before. Never rejects. */
  finish(): Promise<void>;
}

/** Milliseconds between two writings. */
const leastInterval = 30_000;

/** What is behind the first line. */
interface Heading {
  readonly made: string;
  /** The policies by their names, and what of each makes its rules. */
  readonly policies: readonly (readonly [name: string, terms: string])[];
  /** Of each family: where its chains end. */
  readonly ends: Readonly<Record<Family, readonly number[]>>;
}

export function createComposedRules({ file, madeBy, backend, clock, onFailure }: ComposedRulesOptions): ComposedRules {
  const made = `${madeBy} ${backend}`;
  let kept: readonly Policy[] | undefined;
  let keptAt = Number.NEGATIVE_INFINITY;
  let latest: readonly Policy[] | undefined;
  let writing: Promise<void> = Promise.resolve();
  let failed = false;

  const write = async (policies: readonly Policy[]): Promise<void> => {
    kept = policies;
    keptAt = clock.monotonic();
    try {
      await file.write(await inTurns(compose(policies, made)));
      failed = false;
    } catch (error) {
      if (!failed) onFailure(error);
      failed = true;
      kept = undefined;
    }
  };

  return {
    known: (policies) => {
      const found = parse(file.read(), made);
      if (found === undefined) return null;
      const terms = new Map(found.heading.policies);
      const current = new Set(policies.filter((policy) => terms.get(policy.name) === termsOf(policy)).map(({ name }) => name));
      const active = policies.filter(({ mode }) => mode !== "off").length;
      if (current.size === active && terms.size === active) kept = policies;
      return { texts: found.texts, current };
    },
    keep: async (policies) => {
      latest = policies;
      if (policies === kept || clock.monotonic() < keptAt + leastInterval) return;
      writing = write(policies);
      await writing;
    },
    finish: async () => {
      for (let waited: typeof writing | undefined; waited !== writing; ) {
        waited = writing;
        await waited;
      }
      if (latest === undefined || latest === kept) return;
      writing = write(latest);
      await writing;
    },
  };
}

function* compose(policies: readonly Policy[], made: string): Steps<string> {
  const active = policies.filter(({ mode }) => mode !== "off").toSorted(comparePolicies);
  for (const policy of active) {
    for (const family of [4, 6] as const)
      for (const [, rules] of chainsOfPolicy(policy, family, true)) for (const rule of rules) ruleText(rule, family);
    yield;
  }
  const four = chainsText(active, 4);
  yield;
  const texts = { 4: four, 6: chainsText(active, 6) };
  yield;
  const heading: Heading = {
    made,
    policies: active.map((policy) => [policy.name, termsOf(policy)]),
    ends: { 4: texts[4].ends, 6: texts[6].ends },
  };
  yield;
  return seal(heading, `${texts[4].rules}${texts[6].rules}`);
}

/** All that the chains of a policy depend on. */
function termsOf({ protocol, ports, maxConnections, countPer, ban, rejectWith, exempt, mode }: Policy): string {
  const { ipv4Prefix, ipv6Prefix } = countPer;
  const terms = { protocol, ports, maxConnections, countPer: [ipv4Prefix, ipv6Prefix], ban, rejectWith, exempt, mode };
  return JSON.stringify(terms satisfies Record<Exclude<keyof PolicySpec, "description">, unknown>);
}

/** Undefined for a text that is not whole, or not of this code. */
function parse(kept: string | undefined, made: string): Parsed | undefined {
  const { heading, body } = unseal(kept) ?? {};
  if (heading === undefined || body === undefined) return undefined;
  try {
    const ours = heading as Heading;
    return ours.made === made ? parsed(ours, body) : undefined;
  } catch {
    // Other code may have written it in another form.
    return undefined;
  }
}

interface Parsed {
  readonly heading: Heading;
  readonly texts: KnownChains["texts"];
}

function parsed(heading: Heading, rules: string): Parsed | undefined {
  const policies = heading.policies.map(([name]) => name);
  const [middle, last] = [heading.ends[4].at(-1) ?? 0, heading.ends[6].at(-1) ?? 0];
  if (middle + last !== rules.length) return undefined;
  return {
    heading,
    texts: {
      4: { policies, rules: rules.slice(0, middle), ends: heading.ends[4] },
      6: { policies, rules: rules.slice(middle), ends: heading.ends[6] },
    },
  };
}
