import type { Static } from "typebox";
import { banDefaults, policyDefaults } from "../../domain/policy.ts";
import { policyLimits } from "../../domain/policy-rules.ts";
import { ArmedConfirmationResource } from "../confirmations/schemas.ts";
import { integer, network, nullable, outputTime, plainText, policyName, reference, strictObject } from "../fields.ts";
import { foresightOf } from "../foresight/schemas.ts";
import { pendingRemoval } from "../requests/write-answer.ts";
import { Type } from "../schema-type.ts";

const name = policyName("The name; fixed once the policy is made.");
const description = plainText("For people; it never reaches a rule.", "one app node must not starve the others");
const protocol = Type.Literal("tcp", { default: policyDefaults.protocol });
const ports = Type.Array(integer(policyLimits.port, "A destination port on this host.", 3306), {
  minItems: policyLimits.ports.minimum,
  maxItems: policyLimits.ports.maximum,
  uniqueItems: true,
  description: "The ports whose connections are counted: one count over all of them.",
  examples: [[3306]],
});
const maxConnections = integer(policyLimits.maxConnections, "Concurrent connections that one source may hold.", 2);
const ipv4Prefix = Type.Integer({
  ...policyLimits.ipv4Prefix,
  default: policyDefaults.countPer.ipv4Prefix,
  description: "Sources in one IPv4 network of this length are counted as one.",
});
const ipv6Prefix = Type.Integer({
  ...policyLimits.ipv6Prefix,
  default: policyDefaults.countPer.ipv6Prefix,
  description: "The same for IPv6.",
});
const countPerOptions = { default: policyDefaults.countPer, description: "The prefix lengths by which sources are told apart." };
const seconds = integer(policyLimits.banSeconds, "How long a source is banned.", 60);
const scope = Type.Enum(["host", "ports"], {
  type: "string",
  default: banDefaults.scope,
  description: "`host`: all TCP from the source is refused; `ports`: only these ports.",
});
const renewOnAttempt = Type.Boolean({
  default: banDefaults.renewOnAttempt,
  description: "Each attempt while banned starts the time anew.",
});
const banOptions = {
  default: null,
  description: "What a source over the limit gets; null: only its excess connections are refused.",
};
const rejectWith = Type.Enum(["tcp-reset", "icmp-port-unreachable", "drop"], {
  type: "string",
  default: policyDefaults.rejectWith,
  description: "How a connection is refused.",
});
const exempt = Type.Array(network("A canonical network or address.", "10.0.0.0/8"), {
  maxItems: policyLimits.exempt.maximum,
  uniqueItems: true,
  default: policyDefaults.exempt,
  description: "Sources that this policy never counts.",
  examples: [["10.0.0.0/8"]],
});
const mode = Type.Enum(["enforce", "observe", "off"], {
  type: "string",
  default: policyDefaults.mode,
  description: "`observe` lists offenders and refuses nothing; `off`: kept, but not in the kernel.",
});

const example = {
  description: "one app node must not starve the others",
  ports: [3306],
  maxConnections: 2,
  ban: { seconds: 60 },
  exempt: ["10.0.0.0/8"],
};

/** What a caller decides about a policy; what is left out gets its default. */
const inputFields = {
  description: Type.Optional(description),
  protocol: Type.Optional(protocol),
  ports,
  maxConnections,
  countPer: Type.Optional(
    strictObject({ ipv4Prefix: Type.Optional(ipv4Prefix), ipv6Prefix: Type.Optional(ipv6Prefix) }, countPerOptions),
  ),
  ban: Type.Optional(
    nullable(strictObject({ seconds, scope: Type.Optional(scope), renewOnAttempt: Type.Optional(renewOnAttempt) }), banOptions),
  ),
  rejectWith: Type.Optional(rejectWith),
  exempt: Type.Optional(exempt),
  mode: Type.Optional(mode),
};

/** The body of POST. */
export const NewPolicy = strictObject(
  { name, ...inputFields },
  { $id: "NewPolicy", description: "A policy to create.", examples: [{ name: "mysql", ...example }] },
);

/** The body of PUT: all of a policy, the name from the path. */
export const PolicyReplacement = strictObject(
  { name: Type.Optional(name), ...inputFields },
  { $id: "PolicyReplacement", description: "All of a policy; the name stands in the path.", examples: [example] },
);

/** The body of PATCH. Fields without a default can't be removed, only set. */
export const PolicyPatch = strictObject(
  {
    name: Type.Optional(name),
    description: Type.Optional(nullable(description)),
    protocol: Type.Optional(nullable(protocol)),
    ports: Type.Optional(ports),
    maxConnections: Type.Optional(maxConnections),
    countPer: Type.Optional(
      nullable(
        strictObject({ ipv4Prefix: Type.Optional(nullable(ipv4Prefix)), ipv6Prefix: Type.Optional(nullable(ipv6Prefix)) }),
      ),
    ),
    ban: Type.Optional(
      nullable(
        strictObject({
          seconds: Type.Optional(seconds),
          scope: Type.Optional(nullable(scope)),
          renewOnAttempt: Type.Optional(nullable(renewOnAttempt)),
        }),
      ),
    ),
    rejectWith: Type.Optional(nullable(rejectWith)),
    exempt: Type.Optional(nullable(exempt)),
    mode: Type.Optional(nullable(mode)),
  },
  {
    $id: "PolicyPatch",
    description: "A JSON merge patch (RFC 7396): what is left out stays, null sets a field to its default, objects are merged.",
    examples: [{ maxConnections: 4, ban: { seconds: 300 } }],
  },
);

/** Whether the kernel does what the store says. */
const enforcement = Type.Union(
  [
    strictObject({ state: Type.Literal("enforced"), since: outputTime("Since when the kernel is known to hold it.") }),
    strictObject({ state: Type.Literal("pending"), message: Type.String({ description: "What it waits for." }) }),
    strictObject({ state: Type.Literal("off") }),
  ],
  { description: "Whether the kernel holds the policy now: read back, not assumed." },
);

/** A policy as it is answered. */
export const PolicyResource = strictObject(
  {
    name,
    description,
    protocol,
    ports,
    maxConnections,
    countPer: strictObject({ ipv4Prefix, ipv6Prefix }, countPerOptions),
    ban: nullable(strictObject({ seconds, scope, renewOnAttempt }), banOptions),
    rejectWith,
    exempt,
    mode,
    revision: Type.Integer({ minimum: 1, description: "1 at creation, one more with each change.", examples: [3] }),
    createdAt: outputTime("When it was created."),
    updatedAt: outputTime("When it was changed last."),
    enforcement,
  },
  { $id: "Policy", description: "A connection-limit policy." },
);

const confirmation = Type.Optional(
  nullable(reference(ArmedConfirmationResource), {
    description:
      "There if and only if `confirmWithin` is given: what takes the change back unless it is confirmed in time. null: nothing changed, so that there is nothing to take back, or it is a dry run.",
  }),
);

/** A policy as a write answers it. */
export const WrittenPolicy = strictObject(
  { ...PolicyResource.properties, confirmation },
  { $id: "WrittenPolicy", description: "A policy that was written." },
);

/** What the removal of a policy answers where it is to be confirmed. */
export const PolicyRemoval = strictObject(
  { confirmation },
  { $id: "PolicyRemoval", description: "A policy was removed, and it comes back unless that is confirmed." },
);

/** The same while the kernel still has it. */
export const PendingPolicyRemoval = pendingRemoval("PendingPolicyRemoval", { confirmation });

/** What a write of a policy would do. */
export const PolicyForesightResource = foresightOf(reference(WrittenPolicy), "PolicyForesight");

/** What the removal of a policy would do. */
export const PolicyRemovalForesightResource = foresightOf(
  nullable(reference(PolicyRemoval), {
    description: "null where `confirmWithin` is not given: the write answers without a body.",
  }),
  "PolicyRemovalForesight",
);

/** A source seen over the limit, as it is answered. */
export const OffenderResource = strictObject(
  {
    source: network("The address, or the network where the policy counts by a shorter prefix.", "203.0.113.9"),
    firstSeenAt: outputTime("The earliest time over the limit that the kernel still knows of."),
    lastSeenAt: outputTime("When it was over the limit last."),
    bannedUntil: nullable(outputTime("The end of its ban."), { description: "null: it is not banned." }),
    outcome: Type.Enum(["refused", "banned", "would-be-refused", "would-be-banned"], {
      type: "string",
      description:
        "What the policy does to it as it is now; `would-be-...` where its mode is not `enforce`: what it would do to it if it were.",
    }),
  },
  { $id: "Offender", description: "A source seen over a policy's limit." },
);

/** Where a policy stands. */
export const PolicyPath = strictObject({ name });

/** Fields of a policy that only the service sets. */
export const readOnlyPolicyFields = [
  "revision",
  "createdAt",
  "updatedAt",
  "enforcement",
  "confirmation",
] as const satisfies readonly (keyof Static<typeof WrittenPolicy>)[];
