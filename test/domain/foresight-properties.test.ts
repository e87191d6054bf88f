import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DomainError } from "../../src/domain/errors.ts";
import type { PolicySpec } from "../../src/domain/policy.ts";
import type { Preconditions } from "../../src/domain/preconditions.ts";
import type { BanRequest, BatchOutcome, PolicyOutcome } from "../../src/domain/services.ts";
import { samplePolicySpec } from "../support/samples.ts";
import { createTestServices, sampleTerms } from "../support/test-services.ts";

type Services = ReturnType<typeof createTestServices>;

/** What a rehearsal and a write can be compared by. */
interface Answer {
  readonly changed: boolean;
  readonly created: boolean;
  readonly result: unknown;
}

/** The same change in two ways. */
interface Attempt {
  readonly rehearse: (services: Services) => Promise<Answer>;
  readonly write: (services: Services) => Promise<Answer>;
}

const policyName = fc.constantFrom("a", "b", "c", "No");
const address = fc.constantFrom(
  ...["203.0.113.1", "203.0.113.2", "203.0.113.0/28", "2001:db8::1", "2001:db8::/64", "172.16.0.99", "10.1.0.1", "203.0.113.1/8"],
);
const conditions = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  fc.constantFrom<Preconditions>({ ifMatch: "*" }, { ifNoneMatch: "*" }, { ifMatch: ["another"] }),
);
const terms = fc
  .record({
    admin: fc.boolean(),
    allowLockout: fc.constantFrom(false, false, false, true),
    confirmWithin: fc.constantFrom(undefined, undefined, undefined, 60, 9),
    address: fc.constantFrom(null, "172.16.0.99", "203.0.113.1"),
  })
  .map(({ admin, allowLockout, confirmWithin, address: from }) =>
    sampleTerms({
      caller: { admin, address: from },
      allowLockout,
      ...(confirmWithin === undefined ? {} : { confirmWithin }),
    }),
  );
const spec: fc.Arbitrary<PolicySpec> = fc
  .record({
    ports: fc.constantFrom([3306], [80, 443], [7306], [22]),
    maxConnections: fc.constantFrom(0, 1, 2, 2, 2, 5),
    countPer: fc.constantFrom({ ipv4Prefix: 32, ipv6Prefix: 64 }, { ipv4Prefix: 28, ipv6Prefix: 48 }),
    ban: fc.constantFrom(null, { seconds: 60, scope: "host", renewOnAttempt: false } as const),
    exempt: fc.constantFrom([], ["203.0.113.1"]),
    mode: fc.constantFrom("enforce", "observe", "off"),
  })
  .map(samplePolicySpec);
const request: fc.Arbitrary<BanRequest> = fc.record(
  {
    reason: fc.constantFrom("", "scanner", "a\nb"),
    expiry: fc.constantFrom(null, { ttlSeconds: 5 }, { expiresAt: Date.UTC(2026, 10, 22, 9) }),
    sever: fc.boolean(),
  },
  { requiredKeys: ["reason", "expiry"] },
);

const answerOfPolicy = ({ changed, created, resource }: PolicyOutcome): Answer => ({ changed, created, result: resource });
function answerOfBatch({ enforced: _, ...result }: BatchOutcome): Answer {
  return { changed: result.created + result.updated + result.deleted > 0, created: result.created > 0, result };
}
const removed: Answer = { changed: true, created: false, result: null };

const attempt: fc.Arbitrary<Attempt> = fc.oneof(
  fc.tuple(policyName, spec, terms).map(([name, wanted, who]) => ({
    rehearse: ({ policies }: Services) => policies.foresee.create(name, wanted, who),
    write: async ({ policies }: Services) => answerOfPolicy(await policies.create(name, wanted, who)),
  })),
  fc.tuple(policyName, spec, conditions, terms).map(([name, wanted, when, who]) => ({
    rehearse: ({ policies }: Services) => policies.foresee.put(name, wanted, when, who),
    write: async ({ policies }: Services) => answerOfPolicy(await policies.put(name, wanted, when, who)),
  })),
  fc.tuple(policyName, spec, conditions, terms).map(([name, { ban, mode }, when, who]) => {
    const edit = (current: PolicySpec): PolicySpec => ({ ...current, ban, mode });
    return {
      rehearse: ({ policies }: Services) => policies.foresee.edit(name, edit, when, who),
      write: async ({ policies }: Services) => answerOfPolicy(await policies.edit(name, edit, when, who)),
    };
  }),
  fc.tuple(policyName, conditions, terms).map(([name, when, who]) => ({
    rehearse: ({ policies }: Services) => policies.foresee.remove(name, when, who),
    write: async ({ policies }: Services) => {
      await policies.remove(name, when, who);
      return removed;
    },
  })),
  fc.tuple(address, request, terms).map(([where, wanted, who]) => ({
    rehearse: ({ bans }: Services) => bans.foresee.create(where, wanted, who),
    write: async ({ bans }: Services) => {
      const { changed, created, resource, severed } = await bans.create(where, wanted, who);
      return { changed, created, result: { resource, severed } };
    },
  })),
  fc.tuple(address, request, conditions, terms).map(([where, wanted, when, who]) => ({
    rehearse: ({ bans }: Services) => bans.foresee.put(where, wanted, when, who),
    write: async ({ bans }: Services) => {
      const { changed, created, resource, severed } = await bans.put(where, wanted, when, who);
      return { changed, created, result: { resource, severed } };
    },
  })),
  fc
    .tuple(address, conditions, terms, fc.constantFrom({}, { graceSeconds: 60 }, { graceSeconds: 0 }))
    .map(([where, when, who, grace]) => ({
      rehearse: ({ bans }: Services) => bans.foresee.remove(where, when, who, grace),
      write: async ({ bans }: Services) => {
        await bans.remove(where, when, who, grace);
        return removed;
      },
    })),
  fc.tuple(fc.uniqueArray(address, { maxLength: 4 }), fc.nat(4), request, terms).map(([addresses, puts, wanted, who]) => {
    const batch = {
      put: addresses.slice(0, puts).map((where) => ({ address: where, ...wanted })),
      delete: addresses.slice(puts),
    };
    return {
      rehearse: ({ bans }: Services) => bans.foresee.batch(batch, who),
      write: async ({ bans }: Services) => answerOfBatch(await bans.batch(batch, who)),
    };
  }),
);

/** What happens between two changes. */
const event: fc.Arbitrary<(services: Services) => unknown> = fc.oneof(
  fc.nat(10_000).map(
    (time) =>
      ({ clock }: Services) =>
        clock.advance(time),
  ),
  fc.tuple(address, fc.nat(4)).map(([source, count]) => ({ connections }: Services) => {
    if (!source.includes("/")) connections.open(source, 3306, count);
  }),
  address.map(
    (banned) =>
      ({ firewall, kernelBan }: Services) =>
        firewall.setPolicyBans([kernelBan(banned, "a")]),
  ),
  fc.constant(({ confirmations, clock }: Services) => confirmations.revertDue(clock.now())),
  fc.constant(async ({ confirmations }: Services) => {
    for (const { id } of confirmations.list()) await confirmations.confirm(id, sampleTerms()).catch(() => undefined);
  }),
);

/** Of an answer only what can be compared, and of a refusal its code and text. */
async function outcomeOf(answer: Promise<Answer>) {
  try {
    const { changed, created, result } = await answer;
    return { changed, created, result };
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    // Only a write has a confirmation, with an id of its own.
    return { code: error.code, message: error.message, errors: error.errors };
  }
}

/** All that a rehearsal must leave alone; lists are compared by identity. */
function footprint({ store, firewall, connections, enforcer }: Services): readonly unknown[] {
  const lists = [
    store.policies(),
    store.operatorBans(),
    store.kernelBans(),
    store.lifts(),
    store.graces(),
    store.confirmations(),
  ];
  return [
    store.revision(),
    ...lists,
    firewall.passes.length,
    firewall.applied,
    connections.severed.length,
    enforcer.requests.length,
  ];
}

test("500 random changes: the rehearsal changes nothing, and says what the write then does and asks of the kernel", async (t) => {
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(event, attempt), { minLength: 25, maxLength: 25 }), async (steps) => {
      const services = createTestServices(t);
      const { firewall } = services;
      firewall.setBanRoom({ capacity: 3 });
      for (const [happen, { rehearse, write }] of steps) {
        await happen(services);
        const before = footprint(services);
        const foreseen = await outcomeOf(rehearse(services));
        for (const [index, after] of footprint(services).entries()) assert.equal(after, before[index]);
        const planned = firewall.plans.at(-1);
        const passes = firewall.passes.length;
        const done = await outcomeOf(write(services));
        assert.deepEqual(foreseen, done);
        if (firewall.passes.length > passes) assert.deepEqual(planned, firewall.passes.at(-1));
        const kind = "code" in done ? done.code : `changed ${done.changed}`;
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
      }
      services.store.close();
    }),
    { numRuns: 20 },
  );
  const kinds = [
    "changed true",
    "changed false",
    "lockout",
    "insufficient-scope",
    "precondition-failed",
    "not-found",
    "invalid-input",
  ];
  for (const kind of kinds) assert.ok(seen.has(kind), `${kind} is among ${[...seen.keys()]}`);
});
