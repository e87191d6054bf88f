import type { Static } from "typebox";
import { maxGraceSeconds, maxTtlSeconds } from "../../domain/ban-rules.ts";
import {
  address,
  inputTime,
  integer,
  network,
  nullable,
  outputTime,
  plainText,
  policyName,
  reference,
  strictObject,
} from "../fields.ts";
import { foresightOf } from "../foresight/schemas.ts";
import { writeParameters } from "../requests/write-terms.ts";
import { Type } from "../schema-type.ts";

const target = network("What is banned, in canonical form.", "203.0.113.9");
const reason = plainText("Why, for people.", "scanner, OPS-123");
/** How many connections a write ended. */
export const severed = nullable(Type.Integer({ minimum: 0, examples: [2] }), {
  description: "How many open connections were ended; null: none was to be, or it could not be done.",
});

const expiresAt = nullable(outputTime("The end."), { description: "null: until it is removed." });

const inputFields = {
  reason: Type.Optional(reason),
  ttlSeconds: Type.Optional(
    integer({ minimum: 1, maximum: maxTtlSeconds }, "How long, from now. Neither this nor `expiresAt`: until removed.", 3600),
  ),
  expiresAt: Type.Optional(inputTime("Until when: a time in the future, with any offset.")),
  sever: Type.Optional(
    Type.Boolean({ default: true, description: "Whether the connections that the address has open now end too." }),
  ),
};
const oneTimeOnly = {
  not: { type: "object", required: ["ttlSeconds", "expiresAt"], properties: { ttlSeconds: {}, expiresAt: {} } },
};
const example = { reason: "scanner, OPS-123", ttlSeconds: 3600 };

/** The body of POST. */
export const NewBan = strictObject(
  { address: network("What to ban.", "203.0.113.9"), ...inputFields },
  { $id: "NewBan", description: "A ban to make.", ...oneTimeOnly, examples: [{ address: "203.0.113.9", ...example }] },
);

/** The body of PUT: the operator's cause, the address from the path. */
export const BanReplacement = strictObject(
  { address: Type.Optional(network("The same as in the path.", "203.0.113.9")), ...inputFields },
  { $id: "BanReplacement", description: "A ban; the address stands in the path.", ...oneTimeOnly, examples: [example] },
);

/** A ban as it is answered. */
export const BanResource = strictObject(
  {
    address: target,
    expiresAt,
    enforced: Type.Boolean({ description: "Whether the kernel refuses its packets now: read back, not assumed." }),
    causes: Type.Array(
      Type.Union([
        strictObject(
          {
            by: Type.Literal("operator"),
            actor: Type.String({ description: "Who asked: the name of a token, or `socket`.", examples: ["admin"] }),
            reason,
            since: outputTime("Since when."),
            expiresAt,
          },
          { description: "Somebody asked for it over the API." },
        ),
        strictObject(
          {
            by: Type.Literal("policy"),
            policy: policyName("The policy whose limit was exceeded."),
            since: outputTime("Since when."),
            expiresAt: outputTime("The end."),
          },
          { description: "The kernel listed an offender." },
        ),
      ]),
      { minItems: 1, description: "Why it is banned." },
    ),
  },
  { $id: "Ban", description: "One address or network with all the causes for which its packets are refused." },
);

/** A ban as a write answers it. */
export const WrittenBanResource = strictObject(
  { ...BanResource.properties, severed },
  { $id: "WrittenBan", description: "A ban that was written, and what became of the connections of its address." },
);

/** What a write of a ban would do. */
export const BanForesightResource = foresightOf(reference(WrittenBanResource), "BanForesight");

/** Where a ban stands. */
export const BanPath = strictObject({
  address: network("The address or network; percent-encode its slash (%2F).", "203.0.113.9"),
});

/** What narrows the list of bans. */
export const banFilters = {
  by: Type.Optional(Type.Enum(["operator", "policy"], { type: "string", description: "Bans that have a cause of this kind." })),
  policy: Type.Optional(policyName("Bans that this policy caused.")),
  covers: Type.Optional(address("Bans that hit this address.", "203.0.113.9")),
  within: Type.Optional(network("Bans inside this network.", "203.0.113.0/24")),
};

/** How a ban is lifted. */
export const liftQuery = strictObject({
  ...writeParameters,
  graceSeconds: Type.Optional(
    integer(
      { minimum: 1, maximum: maxGraceSeconds },
      "For how long from now no policy bans the address again; policies still limit it.",
      600,
    ),
  ),
});

/** Fields of a ban that only the service sets. */
export const readOnlyBanFields = ["enforced", "causes", "severed"] as const satisfies readonly (keyof Static<
  typeof WrittenBanResource
>)[];
