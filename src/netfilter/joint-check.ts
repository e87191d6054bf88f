import { comparePolicies, type Policy } from "../domain/policy.ts";
import type { Desired } from "../domain/ports.ts";

/** Asks the kernel whether it would take what is desired; rejects when it would not. */
export type Check = (desired: Desired) => Promise<void>;

/** Turns of the event loop for which questions are gathered at most, and without a new one that end it. */
const [gatheringTurns, quietTurns] = [50, 2];

interface Question {
  readonly desired: Desired;
  readonly answer: (outcome: Promise<void>) => void;
}

/**
 * Asks about changes of different policies together, as they will be written together, and about each by itself only where the
 * kernel would refuse them together: a check takes two programs for each family, and its time grows with all the policies.
 * @param present the policies that the kernel has
 */
export function createJointCheck(check: Check, present: () => readonly Policy[]): Check {
  let waiting: Question[] = [];
  let running = false;

  /** Those who come in one turn after the other are waited for: a check of all takes little longer than a check of one. */
  const gather = async (): Promise<void> => {
    let [seen, quiet] = [waiting.length, 0];
    for (let turn = 0; turn < gatheringTurns && quiet < quietTurns; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      quiet = waiting.length === seen ? quiet + 1 : 0;
      seen = waiting.length;
    }
  };

  const run = async (): Promise<void> => {
    running = true;
    while (waiting.length > 0) {
      await gather();
      const questions = waiting;
      waiting = [];
      const { joined, rest } = join(questions, present());
      waiting.unshift(...rest);
      await settle(joined, check);
    }
    running = false;
  };

  return (desired) =>
    new Promise((resolve) => {
      waiting.push({ desired, answer: resolve });
      if (waiting.length === 1 && !running) setImmediate(run);
    });
}

/** Answers each question; none of them makes this reject. */
async function settle(
  joined: { readonly questions: readonly Question[]; readonly desired: Desired },
  check: Check,
): Promise<void> {
  const { questions, desired } = joined;
  const together = check(desired);
  const [accepted] = await Promise.allSettled([together]);
  for (const question of questions) {
    const alone = accepted.status === "fulfilled" || questions.length === 1 ? together : check(question.desired);
    question.answer(alone);
    await Promise.allSettled([alone]);
  }
}

/** The changes that can be made together, and the questions for another time. */
function join(questions: readonly Question[], present: readonly Policy[]) {
  const [first, ...others] = questions;
  if (first === undefined) throw new RangeError("nobody asks");
  const base = new Map(present.map((policy) => [policy.name, policy]));
  const merged = new Map(changesTo(base, first.desired.policies));
  const joined = [first];
  const rest: Question[] = [];
  for (const question of others) {
    const changes = [...changesTo(base, question.desired.policies)];
    if (
      isPartial(question) ||
      isPartial(first) ||
      changes.some(([name, policy]) => merged.has(name) && merged.get(name) !== policy)
    )
      rest.push(question);
    else {
      joined.push(question);
      for (const [name, policy] of changes) merged.set(name, policy);
    }
  }
  if (joined.length === 1) return { joined: { questions: joined, desired: first.desired }, rest };
  const policies = [...new Map([...base, ...merged]).values()].filter((policy) => policy !== undefined).sort(comparePolicies);
  return { joined: { questions: joined, desired: { ...first.desired, policies } }, rest };
}

/** Asks about some of the policies only, whatever others want. */
function isPartial({ desired }: Question): boolean {
  return desired.withheld !== undefined;
}

/** Policies that differ, by name; `undefined` for those that are gone. */
function changesTo(base: ReadonlyMap<string, Policy>, policies: readonly Policy[]): ReadonlyMap<string, Policy | undefined> {
  const changes = new Map<string, Policy | undefined>(
    policies.filter((policy) => base.get(policy.name) !== policy).map((policy) => [policy.name, policy]),
  );
  const names = new Set(policies.map(({ name }) => name));
  for (const name of base.keys()) if (!names.has(name)) changes.set(name, undefined);
  return changes;
}
